"""Where disk, memory or file numbers end, a run ends with a word, and the month stays."""

import signal
from dataclasses import replace

import pytest

from finops.faults import CRASH_POINTS
from tests.reliability.oracle import check_words
from tests.reliability.plan import chosen, dice, rounds
from tests.reliability.test_kills import AFTER, NEVER, STRATEGIES
from tests.reliability.volume import small_disk

MEGABYTE = 1 << 20
ROOM = 64 * MEGABYTE
PLACES = [
    (kind, strategy, point)
    for kind in ("first", "restated")
    for strategy in STRATEGIES
    for point in CRASH_POINTS
    if (kind, point) not in NEVER
]


@pytest.mark.parametrize(("kind", "strategy", "point"), chosen(PLACES, 4))
def test_the_disk_is_full_at_a_point(story, tally, kind, strategy, point):
    site, old, new, before = story(kind, strategy)
    if earlier := AFTER.get(point):
        assert site.run(fault=earlier).code == -9
    with tally.trial("disk full at every point between two changes") as trial:
        ended = site.run(fault=f"{point}:disk-full")

        assert ended.code == 74, ended
        trial.recovers(site, ended, [old, new], before)


def _used(folder):
    return sum(path.stat().st_size // 4096 * 4096 + 4096 for path in folder.rglob("*"))


def on_disk(prepared, disk):
    """Copy a site onto a small disk."""
    site = prepared.copy(disk.path / "data")
    return replace(site, enter=disk.enter, inside=disk.inside / "data")


@pytest.mark.parametrize("number", range(rounds(40, 2)))
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_small_disk_under_an_import(stories, tmp_path, tally, strategy, number):
    chance = dice("disk", strategy, number)
    prepared, old, new, before = stories[chance.choice(["first", "restated"]), strategy]
    used = _used(prepared.data) if prepared.data.exists() else 0
    size = used + chance.randrange(8 * MEGABYTE)
    with small_disk(tmp_path / "disk", size) as disk:
        if disk is None:
            pytest.skip("no tmpfs can be mounted here")
        site = on_disk(prepared, disk)
        with tally.trial(f"disk too small by chance, {strategy}") as trial:
            ended = site.run()

            assert ended.code in (0, 74), ended
            disk.resize(ROOM)
            trial.recovers(site, ended, [old, new], before)


@pytest.mark.parametrize("number", range(rounds(20, 1)))
def test_a_small_disk_under_an_export(stories, tmp_path, tally, number):
    prepared, old, _new, _before = stories["restated", "separate"]
    with small_disk(tmp_path / "disk", 4096 * dice("export", number).randint(1, 12)) as disk:
        if disk is None:
            pytest.skip("no tmpfs can be mounted here")
        site = replace(prepared.copy(tmp_path / "data"), enter=disk.enter)
        out = str(disk.inside / "out")
        with tally.trial("disk too small for export-parquet") as trial:
            ended = site.run("export-parquet", "--out", out)

            check_words(ended)
            assert ended.code in (0, 3, 74), ended
            assert not list(disk.path.rglob("*.part"))
            disk.resize(ROOM)
            assert site.run("export-parquet", "--out", out).code == 0
            assert len(list(disk.path.rglob("data.parquet"))) == len(old)
            trial.holds(site, old)


LIMITS = {
    "file size": lambda chance: f"-f {chance.randint(1, 8_000)}",
    "32 open files": lambda _: "-n 32",
    "address space": lambda chance: f"-v {chance.randint(300_000, 1_500_000)}",
}
# An allocation that fails may end native code at once; to the data it is a kill.
CRASHES = {"address space": (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS)}


@pytest.mark.parametrize("number", range(rounds(30, 1)))
@pytest.mark.parametrize("kind", LIMITS)
def test_a_limit_of_the_system(story, tally, kind, number):
    chance = dice("limit", kind, number)
    site, old, new, before = story(chance.choice(["first", "restated"]), chance.choice(STRATEGIES))
    limit = LIMITS[kind](chance)
    with tally.trial(f"limited: {kind}") as trial:
        ended = site.run(limit=limit)

        trial.recovers(site, ended, [old, new], before, CRASHES.get(kind, ()))
