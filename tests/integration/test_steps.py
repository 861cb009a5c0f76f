"""Each step runs alone and again; the state follows the ledger."""

import fcntl
import sqlite3
import subprocess
import sys
import threading

import pytest

from finops.vendors.aws.sample import write_sample
from tests.driver import PERIODS, expected, over_folder

STEPS = ["discover-manifests", "extract-manifests", "extract-billing", "load-billing-local"]
OUTCOMES = ["discovered", "manifest extracted", "staged", "loaded"]


@pytest.fixture
def deliveries(tmp_path, seed):
    return write_sample(tmp_path / "bucket", periods=PERIODS, rows=200, seed=seed)


@pytest.fixture
def finops(tmp_path, deliveries):
    return over_folder(tmp_path / "data", tmp_path / "bucket")


def _states(finops):
    found = finops.aws("show-state").document["manifests"]
    return {(row["billing_month"], row["state"]) for row in found}


def test_steps_one_by_one_do_what_the_import_does(finops, deliveries):
    for step, outcome in zip(STEPS, OUTCOMES, strict=True):
        answer = finops.aws(step)
        assert answer.code == 0
        assert set(answer.outcomes.values()) == {outcome}

    assert finops.loaded() == expected(deliveries)


@pytest.mark.parametrize("twice", STEPS)
def test_a_step_done_twice_changes_nothing(finops, deliveries, twice):
    for step in STEPS:
        for _ in range(2 if step == twice else 1):
            assert finops.aws(step).code == 0

    assert finops.loaded() == expected(deliveries)
    assert _states(finops) == {(f"2024-0{month}", "loaded") for month in (1, 2, 3)}


@pytest.mark.parametrize("step", STEPS[1:])
def test_a_step_with_nothing_waiting_says_so(finops, step):
    answer = finops("aws", step, *finops.flags)

    assert answer.code == 0
    assert "Nothing to do" in answer.err


def test_states_are_the_seeds(finops):
    seen = []
    for step in STEPS:
        finops.aws(step)
        seen.append({state for _, state in _states(finops)})

    assert seen == [{"discovered"}, {"discovered"}, {"staged"}, {"loaded"}]


def test_state_table_has_the_seeds_columns(finops):
    finops.aws("import-cur")

    with sqlite3.connect(finops.data / "state.db") as db:
        rows = db.execute(
            "SELECT vendor, billing_month, state, path FROM manifests ORDER BY billing_month"
        ).fetchall()

    assert [row[:3] for row in rows] == [("aws", str(period), "loaded") for period in PERIODS]
    assert all((finops.data / row[3] / "manifest.json").exists() for row in rows)


def test_staged_manifests_are_the_vendors_word_for_word(finops, deliveries, tmp_path):
    finops.aws("discover-manifests")
    finops.aws("extract-manifests")

    staged = sorted(path.read_bytes() for path in finops.data.rglob("manifest.json"))

    original = [(tmp_path / "bucket" / each.manifest_keys[0]).read_bytes() for each in deliveries]
    assert staged == sorted(original)


def test_lost_state_is_made_anew_and_nothing_is_loaded_twice(finops, deliveries):
    finops.aws("import-cur")
    for path in finops.data.glob("state.db*"):
        path.unlink()

    answer = finops.aws("import-cur")

    assert set(answer.outcomes.values()) == {"unchanged"}
    assert finops.loaded() == expected(deliveries)


@pytest.mark.parametrize("stuck", ["downloading", "loading"])
def test_an_interrupted_attempt_is_closed_and_begun_again(finops, deliveries, stuck):
    for step in STEPS[:3]:
        finops.aws(step)
    with sqlite3.connect(finops.data / "state.db") as db:
        db.execute("UPDATE manifests SET state = ? WHERE billing_month = '2024-02'", [stuck])
    db.close()

    answer = finops.aws("import-cur")

    assert answer.code == 0
    assert finops.loaded() == expected(deliveries)
    attempts = finops.aws("show-state").document["manifests"]
    assert [
        (row["state"], row["reason"]) for row in attempts if row["billing_month"] == "2024-02"
    ] == [("loaded", ""), ("failed", "interrupted")]


def test_a_commit_that_the_state_missed_is_taken_from_the_ledger(finops, deliveries):
    finops.aws("import-cur")
    with sqlite3.connect(finops.data / "state.db") as db:
        db.execute("UPDATE manifests SET state = 'loading'")
    db.close()
    before = finops.database.stat()

    answer = finops.aws("import-cur")

    assert set(answer.outcomes.values()) == {"unchanged"}
    assert _states(finops) == {(f"2024-0{month}", "loaded") for month in (1, 2, 3)}
    assert finops.database.stat().st_ino == before.st_ino


def test_lost_staging_is_downloaded_again(finops, deliveries):
    for step in STEPS[:3]:
        finops.aws(step)
    victim = next(finops.data.rglob("0001-*.csv.gz"))
    victim.unlink()

    failed = finops.aws("load-billing-local")
    answer = finops.aws("import-cur")

    assert (failed.code, answer.code) == (3, 0)
    assert "staging-lost" in {(each["error"] or {}).get("code") for each in failed.results}
    assert finops.loaded() == expected(deliveries)


def test_a_killed_runs_half_made_store_is_thrown_away(finops, deliveries):
    (finops.data).mkdir()
    (finops.data / "open_finops.next.duckdb").write_bytes(b"half")
    (finops.data / "open_finops.next.duckdb.wal").write_bytes(b"half")

    assert finops.aws("import-cur").code == 0

    assert finops.loaded() == expected(deliveries)
    assert not list(finops.data.glob("*next*"))


def test_a_second_run_at_once_is_told_to_wait(finops):
    finops.aws("discover-manifests")
    with (finops.data / ".lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write("process 4711, run x")
        lock.flush()
        answer = finops.aws("import-cur")

    assert (answer.code, answer.document["error"]["code"]) == (75, "locked")
    assert "process 4711, run x" in answer.document["error"]["what"]


def test_a_run_that_only_just_began_is_named(finops):
    finops.aws("discover-manifests")
    with (finops.data / ".lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        writing = threading.Timer(0.5, lambda: (lock.write("process 4711, run x"), lock.flush()))
        writing.start()
        answer = finops.aws("import-cur")
        writing.join()

    assert "process 4711, run x" in answer.document["error"]["what"]


def test_a_second_run_waits_as_long_as_it_is_told(finops, deliveries):
    finops.aws("discover-manifests")
    program = (
        f"import fcntl, sys, time; f = open({str(finops.data / '.lock')!r}); fcntl.flock(f, 2)"
    )
    program += "; print('held', flush=True); time.sleep(1)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        at_once = finops.aws("import-cur", "--lock-timeout", "0.1")
        patient = finops.aws("import-cur", "--lock-timeout", "60")

    assert (at_once.code, patient.code) == (75, 0)
    assert finops.loaded() == expected(deliveries)


def test_previous_runs_are_shown_with_their_outcome(finops):
    finops.aws("import-cur")
    finops.aws("import-cur")

    runs = finops.aws("show-state").document["runs"]

    assert [(run["command"], run["exit_code"], run["outcome"]) for run in runs] == [
        ("aws import-cur", 0, "3 unchanged"),
        ("aws import-cur", 0, "3 loaded"),
    ]
