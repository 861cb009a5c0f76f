"""What a killed run leaves: gone on with by the next run, never loaded twice, never in the way."""

import shutil
import subprocess
import sys

import pytest

from finops.errors import OutOfMemoryError
from finops.steps import load_billing_local
from finops.vendors.aws.sample import SampleLayout, write_sample
from tests import driver
from tests.driver import PERIODS, expected, over_folder


@pytest.fixture
def finops(tmp_path):
    return over_folder(tmp_path / "data", tmp_path / "bucket")


@pytest.fixture
def totals(tmp_path, seed):
    return expected(
        write_sample(
            tmp_path / "bucket", periods=PERIODS, rows=60, seed=seed, layout=SampleLayout()
        )
    )


def killed(finops, fault, *command):
    """Let the import, or another command, be killed."""
    driver.killed(finops, fault, *(command or ("aws", "import-cur", *finops.flags)))


def load_ids(finops):
    return dict(finops.query("SELECT billing_period, load_id FROM finops.loads WHERE is_current"))


def unended_run(finops):
    runs = finops.aws("show-state").document["runs"]
    return next(run["run_id"] for run in runs if run["exit_code"] is None)


def test_the_next_run_publishes_what_a_killed_one_had_committed(finops, totals):
    killed(finops, "committed#2")
    assert not finops.database.exists()
    dead = unended_run(finops)
    answer = finops.aws("import-cur")

    assert answer.code == 0
    assert answer.outcomes == {"2024-01": "loaded", "2024-02": "unchanged", "2024-03": "unchanged"}
    assert "published 2 loads" in answer.document["notices"][0]
    assert finops.loaded() == totals
    assert all(load.startswith(dead) for load in load_ids(finops).values())
    assert finops.query("SELECT count(*) FROM finops.loads") == [(3,)]
    assert not list(finops.data.glob("*.next*"))


def test_every_single_step_publishes_it_too(finops, totals):
    killed(finops, "committed#2")
    answer = finops.aws("load-billing-local")

    assert answer.outcomes == {"2024-01": "loaded"}
    assert finops.loaded() == totals


def test_a_newer_delivery_replaces_what_lies_in_the_clone(finops, totals, tmp_path, seed):
    killed(finops, "committed#2")
    newer = write_sample(
        tmp_path / "bucket", periods=PERIODS, rows=60, seed=seed, layout=SampleLayout(), refresh=2
    )
    assert finops.aws("import-cur").code == 0

    assert finops.loaded() == expected(newer) != totals


def test_a_clone_of_another_store_is_thrown_away(finops, totals, tmp_path, seed):
    assert finops.aws("import-cur", "--end-date", "2024-01").code == 0
    backup = shutil.copy(finops.database, tmp_path / "backup")
    assert finops.aws("import-cur", "--end-date", "2024-02").code == 0
    killed(finops, "committed")
    shutil.copy(backup, finops.database)
    assert set(finops.loaded()) == {"2024-01"}

    assert finops.aws("import-cur").code == 0
    assert finops.loaded() == totals
    assert finops.query("SELECT count(*) FROM finops.loads") == [(3,)]


@pytest.mark.usefixtures("totals")
def test_a_clone_that_cannot_be_opened_is_thrown_away(finops, totals):
    killed(finops, "committed#2")
    clone = finops.data / "open_finops.next.duckdb"
    with clone.open("r+b") as file:
        file.write(bytes(8192))

    assert finops.aws("import-cur").code == 0
    assert finops.loaded() == totals


def test_a_delivery_that_kills_twice_is_left_out_and_the_others_go_on(finops, totals):
    killed(finops, "rows-read")
    killed(finops, "rows-read")
    others = {period: each for period, each in totals.items() if period != "2024-03"}
    answer = finops.aws("import-cur")

    assert answer.code == 3
    assert answer.outcomes["2024-03"] == "failed"
    (failed,) = [result for result in answer.results if result["period"] == "2024-03"]
    assert failed["error"]["code"] == "crashing"
    assert finops.loaded() == others
    reasons = [
        each["reason"]
        for each in finops.aws("show-state").document["manifests"]
        if each["billing_month"] == "2024-03"
    ]
    assert reasons == ["crashed", "crashed"]
    assert finops.aws("import-cur").code == 3
    assert finops.aws("import-cur", "--force").code == 0
    assert finops.loaded() == totals


def test_a_newer_delivery_of_a_period_that_kills_is_tried(finops, tmp_path, seed):
    write_sample(tmp_path / "bucket", periods=PERIODS, rows=60, seed=seed, layout=SampleLayout())
    killed(finops, "rows-read")
    killed(finops, "rows-read")
    newer = write_sample(
        tmp_path / "bucket", periods=PERIODS, rows=60, seed=seed, layout=SampleLayout(), refresh=2
    )

    assert finops.aws("import-cur").code == 0
    assert finops.loaded() == expected(newer)


def test_being_interrupted_again_and_again_is_no_crash(finops, totals, monkeypatch):
    def interrupt(_point):
        raise KeyboardInterrupt

    for _time in range(3):
        with monkeypatch.context() as patch:
            patch.setattr(load_billing_local, "crash_point", interrupt)
            assert finops.aws("import-cur").code == 130

    assert finops.aws("import-cur").code == 0
    assert finops.loaded() == totals


def test_a_period_that_needs_too_much_memory_keeps_the_others_going(finops, totals, monkeypatch):
    replace_period = load_billing_local.replace_period

    def greedy(dataset, vendor, staged, load_id):
        if str(staged.delivery.period) == "2024-03":
            raise OutOfMemoryError("too large")
        return replace_period(dataset, vendor, staged, load_id)

    monkeypatch.setattr(load_billing_local, "replace_period", greedy)
    answer = finops.aws("import-cur")

    assert answer.code == 3
    assert set(finops.loaded()) == set(totals) - {"2024-03"}


def test_too_little_memory_is_an_error_with_advice(finops, totals):
    answer = finops.aws("import-cur", "--memory-limit", "8MB")

    assert answer.code == 74
    assert {result["error"]["code"] for result in answer.results} == {"out-of-memory"}
    assert finops.aws("import-cur", "--memory-limit", "400MB", "--threads", "1").code == 0
    assert finops.loaded() == totals


def test_a_disk_that_is_too_full_is_told_before_anything_is_begun(finops, totals, monkeypatch):
    disk = shutil.disk_usage(finops.data.parent)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _path: disk._replace(free=1000))
        answer = finops.aws("import-cur")

    assert (answer.code, answer.document["error"]["code"]) == (74, "disk-space")
    assert "1,000 are free" in answer.document["error"]["what"]
    assert not list((finops.data / "staging").rglob("*.gz"))
    assert finops.aws("import-cur").code == 0
    assert finops.loaded() == totals


def test_the_limits_that_are_configured_are_those_of_the_database(finops, totals, tmp_path):
    assert finops.aws("import-cur", "--temp-dir", str(tmp_path / "spill")).code == 0
    assert [path.name[:7] for path in (tmp_path / "spill").iterdir()] == ["finops-"]

    (tmp_path / "limits.toml").write_text('[project]\nmemory_limit = "1GiB"\nthreads = 1\n')
    answer = finops(
        *("-c", str(tmp_path / "limits.toml"), "sql", "--json"),
        "SELECT current_setting('memory_limit') AS memory, current_setting('threads') AS threads",
    )
    assert answer.document["rows"] == [{"memory": "1.0 GiB", "threads": 1}]
    assert finops.loaded() == totals


def test_a_program_that_writes_into_the_store_is_named_and_nothing_is_moved(finops, totals):
    assert finops.aws("import-cur").code == 0
    hold = (
        "import duckdb, sys; db = duckdb.connect(sys.argv[1]); print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, str(finops.database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        writer.stdout.readline()
        for answer in (finops.aws("import-cur"), finops("rebuild", "--json")):
            assert (answer.code, answer.document["error"]["code"]) == (75, "in-use")
            assert str(writer.pid) in answer.document["error"]["what"]
        writer.stdin.close()

    assert not list(finops.data.glob("*damaged*"))
    assert finops.loaded() == totals


@pytest.fixture
def restated(imported, tmp_path):
    """The totals of two deliveries, both loaded, the second of which counts."""
    _, older, newer = imported(tmp_path, rows=60, refreshes=2)
    return expected(older), expected(newer)


def charged(finops):
    """Return number and cost of the charges of every period, by the load they are of."""
    return {
        (period, load): (count, cost)
        for period, load, count, cost in finops.query(
            "SELECT x_BillingPeriod, x_LoadId, count(*) FILTER (x_RowKind NOT LIKE 'Unused%'),"
            " sum(BilledCost) FROM focus.cost_and_usage GROUP BY ALL"
        )
    }


@pytest.mark.parametrize("point", ["view-made", "charges-made", "charges-made#2", "committed#2"])
def test_readers_never_see_line_items_without_their_charges(imported, tmp_path, seed, point):
    finops, older = imported(tmp_path, rows=60)
    newer = write_sample(tmp_path / "bucket", periods=PERIODS, rows=60, seed=seed, refresh=2)

    def assert_whole(deliveries):
        wanted = expected(deliveries)
        assert finops.loaded() == wanted
        assert charged(finops) == {
            (period, load): wanted[period] for period, load in load_ids(finops).items()
        }

    killed(finops, point)
    assert_whole(older)
    assert finops.aws("import-cur").code == 0
    assert_whole(newer)


@pytest.mark.parametrize(
    "point", ["cloned", "rows-read", "charges-made", "committed", "checkpointed", "published"]
)
def test_a_killed_rollback_is_done_or_not_and_leaves_nothing(finops, restated, point):
    older, newer = restated
    killed(finops, point, "rollback", "2024-02")
    done = point in ("committed", "checkpointed", "published")
    wanted = {**newer, "2024-02": older["2024-02"]} if done else newer
    answer = finops.aws("import-cur")

    assert answer.code == 0
    assert answer.outcomes["2024-02"] == ("held back" if done else "unchanged")
    assert finops.loaded() == wanted
    assert not list(finops.data.glob("*.next*"))
    assert finops.aws("load-billing-local").results == []
    assert finops("verify").code == 0
    if not done:
        assert finops("rollback", "2024-02").code == 0
        assert finops.loaded() == {**newer, "2024-02": older["2024-02"]}


def test_a_killed_import_then_a_killed_forget(finops, restated, tmp_path, seed):
    layout = SampleLayout()
    bucket, periods = tmp_path / "bucket", PERIODS[2:]
    third = write_sample(bucket, periods=periods, rows=60, seed=seed, layout=layout, refresh=3)
    killed(finops, "committed")
    killed(finops, "checkpointed", "forget", "2024-03")
    assert finops.aws("import-cur").code == 0
    assert finops.loaded() == {**restated[1], **expected(third)}

    assert finops("forget", "2024-03").code == 0
    assert finops.aws("import-cur").code == 0
    assert set(finops.loaded()) == {"2024-01", "2024-02"}


def test_a_failed_discovery_is_not_hidden_by_what_waited_in_staging(finops, totals, tmp_path):
    for step in ("discover-manifests", "extract-manifests", "extract-billing"):
        assert finops.aws(step).code == 0
    (manifest,) = (tmp_path / "bucket").glob("*/*/20240201-*/*-Manifest.json")
    manifest.write_text("{")
    answer = finops.aws("import-cur")

    assert answer.code == 3
    assert answer.outcomes["2024-02"] == "failed"
    assert finops.loaded() == totals
