"""A killed run loses nothing, and the next one makes it whole."""

import signal
import sqlite3

import pytest

from finops.faults import CRASH_POINTS
from tests.reliability.oracle import assert_clean, check_words
from tests.reliability.plan import chosen, dice, rounds
from tests.reliability.site import end_after

STRATEGIES = ["separate", "single"]
# Where a run comes by only after another was killed: that one is killed there first.
AFTER = {"reconciled": "downloading"}
NEVER = {("first", "cloned")}
PLACES = [
    (kind, strategy, point + time)
    for kind in ("first", "restated")
    for strategy in STRATEGIES
    for point in CRASH_POINTS
    for time in ("", "#2")
    if (kind, point) not in NEVER
]


@pytest.mark.parametrize(("kind", "strategy", "point"), chosen(PLACES, 8))
def test_kill_at_a_point(story, tally, kind, strategy, point):
    site, old, new, before = story(kind, strategy)
    if earlier := AFTER.get(point):
        assert site.run(fault=earlier).code == -9
    with tally.trial(f"kill -9 at every point between two changes, {strategy}") as trial:
        ended = site.run(fault=point)

        # Some points are passed once only.
        assert ended.code == -9 or (point.endswith("#2") and ended.code == 0)
        trial.recovers(site, ended, [old, new], before)


@pytest.mark.parametrize("number", range(rounds(150, 4)))
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_kill_at_a_random_moment(story, tally, durations, strategy, number):
    chance = dice("kill", strategy, number)
    kind = chance.choice(["first", "restated"])
    site, old, new, before = story(kind, strategy)
    with tally.trial(f"kill -9 at a random moment, {strategy}") as trial:
        process = site.start()
        # Most of a run is the start of an interpreter: nine of ten come after it.
        if chance.random() < 0.9:
            site.wait_until_locked(process)
            wait = chance.uniform(0, durations[kind, strategy])
        else:
            wait = chance.uniform(0, 0.3)
        ended = end_after(process, wait)

        assert ended.code in (-9, 0)
        trial.recovers(site, ended, [old, new], before)


@pytest.mark.parametrize("number", range(rounds(20, 1)))
def test_a_run_killed_again_and_again_ends_and_fetches_nothing_twice(story, tally, number):
    chance = dice("loop", number)
    site, old, new, _ = story(chance.choice(["first", "restated"]), chance.choice(STRATEGIES))
    verified = {}
    with tally.trial("killed again and again") as trial:
        for step in range(30):
            ended = site.run(fault="file-noted")
            check_words(ended)
            trial.holds(site, old, new)
            now = verified_files(site)
            assert verified.items() <= now.items()
            verified = now
            if ended.code == 0:
                break
            assert ended.code == -9
            assert len(verified) > step, "no run may be in vain"
        assert_clean(site, trial.holds(site, new))


def verified_files(site):
    """Return the inode of every file that the state calls verified."""
    with sqlite3.connect(site.data / "state.db") as state:
        paths = [path for (path,) in state.execute("SELECT path FROM files")]
    state.close()
    return {path: (site.data / path).stat().st_ino for path in paths}


SIGNALS = [(signal.SIGTERM, 143), (signal.SIGINT, 130)]


@pytest.mark.parametrize("number", range(rounds(40, 2)))
@pytest.mark.parametrize(("name", "code"), SIGNALS)
def test_a_signal_at_a_random_moment(story, tally, durations, name, code, number):
    chance = dice("signal", name, number)
    kind, strategy = chance.choice(["first", "restated"]), chance.choice(STRATEGIES)
    site, old, new, before = story(kind, strategy)
    with tally.trial(f"{name.name} at a random moment") as trial:
        process = site.start()
        site.wait_until_locked(process)
        ended = end_after(process, chance.uniform(0, durations[kind, strategy]), name)

        # While Python starts or ends it dies of the signal: a shell calls that the same code.
        assert ended.code in (code, -name, 0), ended
        assert ended.seconds < 5
        trial.recovers(site, ended, [old, new], before)
