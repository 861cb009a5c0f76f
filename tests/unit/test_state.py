"""The work queue: only the allowed moves are made, and nothing of it depends on where it lies."""

import dataclasses
import shutil
import sqlite3
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from threading import Barrier

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from finops.delivery import DataFile, Delivery
from finops.errors import LocalError
from finops.period import BillingPeriod
from finops.state import MOVES, OPEN, DeliveryState, StagedFile, State

S = DeliveryState
HAPPY_PATH = (S.DOWNLOADING, S.STAGED, S.LOADING, S.LOADED)
JANUARY = BillingPeriod(2024, 1)


def delivery(delivery_id="d1", period=JANUARY, export="default", vendor="aws", etag="e"):
    return Delivery(
        vendor=vendor,
        export=export,
        period=period,
        delivery_id=delivery_id,
        manifest_key="p/r/20240101-20240201/r-Manifest.json",
        manifest_etag="m",
        delivered_at=datetime(2024, 1, 5, tzinfo=UTC),
        shape="v1",
        file_format="csv",
        compression="gzip",
        files=(DataFile("p/r/r-1.csv.gz", 10, etag),),
    )


@pytest.fixture
def state(tmp_path):
    with closing(State(tmp_path / "state.db")) as opened:
        yield opened


def brought_to(state, wanted, attempt):
    """Move an attempt along the happy path to ``wanted``, or fail it at once."""
    if wanted == S.FAILED:
        return state.fail(attempt, "error")
    for step in HAPPY_PATH:
        if attempt.state == wanted:
            break
        attempt = state.move(attempt, step)
    return attempt


class WorkQueue(RuleBasedStateMachine):
    """The real database beside a dictionary that says what should be in it."""

    attempts = Bundle("attempts")
    stale = Bundle("stale")

    @initialize()
    def open(self):
        self.folder = Path(tempfile.mkdtemp())
        self.state = State(self.folder / "state.db")
        self.model = {}

    def teardown(self):
        self.state.close()
        shutil.rmtree(self.folder)

    @rule(
        target=attempts,
        delivery_id=st.sampled_from(["d1", "d2"]),
        etag=st.sampled_from(["e1", "e2"]),
        month=st.integers(1, 2),
        export=st.sampled_from(["default", "second"]),
    )
    def discover(self, delivery_id, etag, month, export):
        found = delivery(delivery_id, BillingPeriod(2024, month), export, etag=etag)
        same_place = {
            number: (state, fingerprint)
            for number, (place, fingerprint, state, _) in self.model.items()
            if place == (export, month) and state in OPEN
        }

        attempt = self.state.discover(found, "run")

        again = [
            n for n, (_, fingerprint) in same_place.items() if fingerprint == found.fingerprint
        ]
        if again:
            assert [attempt.id] == again
            return multiple()
        for number in same_place:
            place, fingerprint, _, _ = self.model[number]
            self.model[number] = (place, fingerprint, S.FAILED, "superseded")
        assert attempt.id not in self.model
        self.model[attempt.id] = ((export, month), found.fingerprint, S.DISCOVERED, "")
        return attempt

    @rule(
        target=attempts,
        attempt=consumes(attempts),
        to=st.sampled_from(S),
        reason=st.sampled_from(["", "why"]),
    )
    def move(self, attempt, to, reason):
        attempt = self.state.attempt(attempt.id)
        place, fingerprint, current, _ = self.model[attempt.id]
        if to not in MOVES[current]:
            self.refused(attempt, to)
            return attempt
        self.model[attempt.id] = (place, fingerprint, to, reason)
        return self.state.move(attempt, to, reason=reason)

    @rule(target=stale, attempt=attempts)
    def remember(self, attempt):
        return self.state.attempt(attempt.id)

    @rule(attempt=stale, to=st.sampled_from(S))
    def move_what_may_have_moved(self, attempt, to):
        place, fingerprint, current, _ = self.model[attempt.id]
        if attempt.state != current or to not in MOVES[current]:
            self.refused(attempt, to)
            return
        self.state.move(attempt, to)
        self.model[attempt.id] = (place, fingerprint, to, "")

    @rule()
    def reopen(self):
        self.state.close()
        self.state = State(self.folder / "state.db")

    def refused(self, attempt, to):
        before = self.state.attempts()
        with pytest.raises(LocalError) as caught:
            self.state.move(attempt, to)
        assert caught.value.code == "state-move"
        assert self.state.attempts() == before

    @invariant()
    def it_holds_what_it_should(self):
        held = {
            each.id: (
                (each.delivery.export, each.delivery.period.month),
                each.delivery.fingerprint,
                each.state,
                each.reason,
            )
            for each in self.state.attempts()
        }
        assert held == self.model

    @invariant()
    def one_attempt_at_most_is_open_per_export_and_period(self):
        places = [place for place, _, state, _ in self.model.values() if state in OPEN]
        assert len(places) == len(set(places))


TestWorkQueue = WorkQueue.TestCase
TestWorkQueue.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)


@pytest.mark.parametrize("to", S)
@pytest.mark.parametrize("start", S)
def test_only_the_listed_moves_are_made(state, start, to) -> None:
    attempt = brought_to(state, start, state.discover(delivery(), "run"))

    if to in MOVES[start]:
        assert state.move(attempt, to).state == to
        assert state.attempt(attempt.id).state == to
    else:
        with pytest.raises(LocalError) as caught:
            state.move(attempt, to)
        assert f"from {start} to {to}" in caught.value.what
        assert state.attempt(attempt.id) == attempt


def test_an_attempt_that_moved_meanwhile_is_not_moved_by_who_did_not_see_it(state) -> None:
    seen = state.discover(delivery(), "run")
    moved = state.move(state.move(seen, S.DOWNLOADING), S.STAGED)

    with pytest.raises(LocalError) as caught:
        state.move(seen, S.DOWNLOADING)

    assert caught.value.code == "state-move"
    assert state.attempt(seen.id) == moved


def test_the_moves_are_the_documented_ones() -> None:
    path = (S.DISCOVERED, *HAPPY_PATH)
    documented = {*pairwise(path), *((each, S.FAILED) for each in path[:-1])}

    assert {(start, to) for start, moves in MOVES.items() for to in moves} == documented
    assert set(MOVES) == set(S)
    assert {S.DISCOVERED, S.DOWNLOADING, S.STAGED, S.LOADING} == OPEN


def test_an_attempt_keeps_the_whole_delivery(state) -> None:
    attempt = state.discover(delivery(), "run-1")

    assert attempt.delivery == delivery()
    assert (attempt.state, attempt.reason, attempt.path) == (S.DISCOVERED, "", None)
    assert attempt.run_id == "run-1"


@pytest.mark.parametrize("reached", sorted(OPEN))
def test_the_same_delivery_goes_on_where_it_was(state, reached) -> None:
    attempt = brought_to(state, reached, state.discover(delivery(), "run-1"))

    again = state.discover(delivery(), "run-2")

    assert again == attempt
    assert len(state.attempts()) == 1


def test_a_manifest_written_anew_for_the_same_delivery_is_the_one_to_look_for(state) -> None:
    first = state.discover(delivery(), "r1")
    rewritten = dataclasses.replace(delivery(), manifest_etag="n")

    again = state.discover(rewritten, "r2")

    assert (again.id, again.delivery) == (first.id, rewritten)


@pytest.mark.parametrize("reached", [S.LOADED, S.FAILED])
def test_a_finished_delivery_is_begun_anew(state, reached) -> None:
    attempt = brought_to(state, reached, state.discover(delivery(), "run-1"))

    again = state.discover(delivery(), "run-2")

    assert (again.state, again.run_id) == (S.DISCOVERED, "run-2")
    assert state.attempt(attempt.id).state == reached


@pytest.mark.parametrize("change", [{"delivery_id": "d2"}, {"etag": "other"}])
def test_a_newer_delivery_supersedes_the_open_one(state, change) -> None:
    old = brought_to(state, S.STAGED, state.discover(delivery(), "run-1"))

    new = state.discover(delivery(**change), "run-2")

    superseded = state.attempt(old.id)
    assert (superseded.state, superseded.reason) == (S.FAILED, "superseded")
    assert (new.state, new.id == old.id) == (S.DISCOVERED, False)


@pytest.mark.parametrize(
    "other", [{"period": BillingPeriod(2024, 2)}, {"export": "second"}, {"vendor": "azure"}]
)
def test_deliveries_of_other_places_are_left_alone(state, other) -> None:
    first = state.discover(delivery(), "run")

    state.discover(delivery("d2", **other), "run")

    assert state.attempt(first.id) == first


def test_a_loaded_delivery_is_not_superseded(state) -> None:
    loaded = brought_to(state, S.LOADED, state.discover(delivery(), "run"))

    state.discover(delivery("d2"), "run")

    assert state.attempt(loaded.id) == loaded


def test_attempts_are_listed_by_newest_period_then_newest_attempt(state) -> None:
    march, april = BillingPeriod(2024, 3), BillingPeriod(2024, 4)
    for name, period in [("a", march), ("b", april), ("c", march)]:
        state.discover(delivery(name, period), "run")

    listed = [(str(each.delivery.period), each.delivery.delivery_id) for each in state.attempts()]

    assert listed == [("2024-04", "b"), ("2024-03", "c"), ("2024-03", "a")]


def test_attempts_are_chosen_by_vendor_export_and_state(state) -> None:
    for vendor, export in [("aws", "default"), ("aws", "second"), ("azure", "default")]:
        state.discover(delivery(vendor=vendor, export=export), "run")
    state.fail(state.attempts("aws", "second")[0], "error")

    chosen = [
        (each.delivery.vendor, each.delivery.export) for each in state.attempts("aws", None, OPEN)
    ]

    assert chosen == [("aws", "default")]
    assert len(state.attempts(export="default")) == 2
    assert [each.state for each in state.attempts(states=frozenset([S.FAILED]))] == [S.FAILED]


def staged(path, **changes):
    return dataclasses.replace(StagedFile("k", 3, "e", path, "ab" * 32), **changes)


def test_a_verified_file_is_found_where_it_lies(state, tmp_path) -> None:
    file = staged(tmp_path / "staging" / "a b" / "0001.csv.gz")

    state.add_staged_file(delivery(), file)

    assert state.staged_file(file.path) == file
    assert state.staged_file(tmp_path / "staging" / "0002.csv.gz") is None


def test_a_later_download_of_the_same_place_counts(state, tmp_path) -> None:
    path = tmp_path / "staging" / "0001.csv.gz"
    state.add_staged_file(delivery(), staged(path))

    state.add_staged_file(delivery(), staged(path, etag="e2", size=4))

    assert state.staged_file(path) == staged(path, etag="e2", size=4)


def test_forgetting_a_folder_forgets_that_folder_alone(state, tmp_path) -> None:
    gone = [tmp_path / "staging" / "d_1" / name for name in ("a", "b/c")]
    kept = [tmp_path / "staging" / name / "a" for name in ("d_10", "dx1", "d_")]
    for path in gone + kept:
        state.add_staged_file(delivery(), staged(path))

    state.forget_files(tmp_path / "staging" / "d_1")

    assert [state.staged_file(path) for path in gone] == [None, None]
    assert [state.staged_file(path) for path in kept] == [staged(path) for path in kept]


def test_a_moved_data_folder_takes_its_paths_along(tmp_path) -> None:
    old, new = tmp_path / "old", tmp_path / "new" / "place"
    old.mkdir()
    with closing(State(old / "state.db")) as state:
        attempt = state.discover(delivery(), "run")
        state.move(attempt, S.DOWNLOADING, path=old / "staging" / "x")
        state.add_staged_file(delivery(), staged(old / "staging" / "x" / "1.csv.gz"))
    new.parent.mkdir()
    old.rename(new)

    with closing(State(new / "state.db")) as state:
        assert state.attempt(attempt.id).path == new / "staging" / "x"
        path = new / "staging" / "x" / "1.csv.gz"
        assert state.staged_file(path) == staged(path)


def test_a_move_keeps_the_path_and_set_path_changes_it(state, tmp_path) -> None:
    attempt = state.discover(delivery(), "run")
    attempt = state.move(attempt, S.DOWNLOADING, path=tmp_path / "a")

    assert state.move(attempt, S.STAGED).path == tmp_path / "a"
    assert state.set_path(attempt, tmp_path / "b").path == tmp_path / "b"


def test_several_may_open_a_state_that_is_not_made_yet(tmp_path) -> None:
    for number in range(20):
        gate = Barrier(4)

        def open_and_list(path=tmp_path / f"{number}.db", gate=gate):
            gate.wait()
            with closing(State(path)) as state:
                return state.attempts()

        with ThreadPoolExecutor(4) as pool:
            assert [each.result() for each in [pool.submit(open_and_list) for _ in range(4)]] == [
                []
            ] * 4


def test_a_state_of_a_newer_finops_is_refused_and_left_alone(tmp_path) -> None:
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {99}")
    before = path.read_bytes()

    with pytest.raises(LocalError) as caught:
        State(path)

    assert caught.value.code == "newer-schema"
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    assert len(before) == path.stat().st_size


def test_a_file_that_is_no_database_is_refused_by_name(tmp_path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"not a database at all" * 100)

    with pytest.raises(LocalError) as caught:
        State(path)

    assert str(path) in caught.value.what
    assert caught.value.code == "state"


def test_runs_are_listed_newest_first_with_their_outcome(state) -> None:
    for number in range(4):
        state.start_run(f"run-{number}", "aws import-cur")
    state.finish_run("run-1", 3, "1 failed")

    runs = state.runs(limit=3)

    assert [run.run_id for run in runs] == ["run-3", "run-2", "run-1"]
    assert [(run.exit_code, run.outcome) for run in runs] == [
        (None, ""),
        (None, ""),
        (3, "1 failed"),
    ]
    assert runs[2].started_at <= runs[2].finished_at
    assert runs[0].finished_at == ""
