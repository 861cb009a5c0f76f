"""status, verify, history, rollback, forget and rebuild: told by the rows and the money."""

import shutil
from decimal import Decimal

import duckdb
import pytest

from finops.vendors.aws.sample import SampleLayout, write_sample
from tests.driver import PERIODS, expected, over_folder

STRATEGIES = ("separate", "single")


def deliver(root, seed, refresh=1, periods=PERIODS, rows=120):
    return write_sample(
        root, periods=periods, rows=rows, seed=seed, layout=SampleLayout(), refresh=refresh
    )


@pytest.fixture(scope="module", params=STRATEGIES)
def strategy(request):
    return request.param


@pytest.fixture(scope="module")
def prepared(strategy, tmp_path_factory, seed):
    """A data folder into which two deliveries of three periods were loaded, and their totals."""
    root = tmp_path_factory.mktemp(strategy)
    run = over_folder(root / "data", root / "bucket", "--table-strategy", strategy)
    totals = []
    for refresh in (1, 2):
        totals.append(expected(deliver(root / "bucket", seed, refresh=refresh)))
        assert run.aws("import-cur").code == 0
        assert run.loaded() == totals[-1]
    return root, totals


@pytest.fixture
def finops(tmp_path, strategy):
    return over_folder(tmp_path / "data", tmp_path / "bucket", "--table-strategy", strategy)


@pytest.fixture
def loaded(prepared, tmp_path):
    """The totals of both deliveries, the second of which counts in this test's own copy."""
    root, totals = prepared
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    return totals


def by_hand(finops, *statements):
    with duckdb.connect(str(finops.database)) as db:
        for statement in statements:
            db.execute(statement)


def failed_checks(finops, *arguments):
    answer = finops("verify", "--json", *arguments)
    failed = [
        (finding["period"], finding["check"])
        for finding in answer.document["findings"]
        if finding["ok"] is False
    ]
    assert answer.code == (4 if failed else 0)
    return failed


def table_of(strategy, period):
    name = f"billing_{period.replace('-', '_')}" if strategy == "separate" else "billing_data"
    return f"aws_billing.{name}"


@pytest.mark.usefixtures("loaded")
def test_a_whole_store_verifies(finops):
    answer = finops("verify", "--json")
    checks = [(each["period"], each["check"], each["ok"]) for each in answer.document["findings"]]

    assert answer.code == 0
    assert (None, "columns", True) in checks
    for period in ("2024-01", "2024-02", "2024-03"):
        assert (period, "rows and totals", True) in checks
        assert (period, "staged files", True) in checks


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize(
    ("damage", "of_charges"),
    [
        (
            "UPDATE {} SET lineitem_unblendedcost = lineitem_unblendedcost"
            " + 1e-24::DECIMAL(38,24) WHERE rowid = {}",
            ["billed-total"],
        ),
        ("DELETE FROM {} WHERE rowid = {}", ["billed-total", "row-accounting"]),
        ("INSERT INTO {0} FROM {0} WHERE rowid = {1}", ["billed-total", "row-accounting"]),
        ("UPDATE {} SET _finops_load_id = 'x' WHERE rowid = {}", []),
    ],
    ids=["a cost", "a row less", "a row twice", "a stamp"],
)
def test_verify_finds_what_was_changed_by_hand(finops, strategy, damage, of_charges):
    table = table_of(strategy, "2024-02")
    row = (
        f"(SELECT min(rowid) FROM {table} WHERE billing_period = '2024-02'"
        " AND lineitem_unblendedcost > 0)"
    )
    by_hand(finops, damage.format(table, row))

    found = [("2024-02", check) for check in ("rows and totals", *of_charges)]
    assert failed_checks(finops) == found
    assert failed_checks(finops, "2024-03") == []
    assert finops("rebuild").code == 0
    assert failed_checks(finops) == []


@pytest.mark.usefixtures("loaded")
def test_verify_finds_a_column_that_the_registry_does_not_know(finops, strategy):
    by_hand(finops, f"ALTER TABLE {table_of(strategy, '2024-02')} ADD COLUMN extra INTEGER")

    assert failed_checks(finops) == [(None, "columns")]


@pytest.mark.usefixtures("loaded")
def test_verify_finds_a_flipped_bit_in_staging(finops):
    staged = sorted((finops.data / "staging/aws/default/2024-02").glob("*/0001-*"))[-1]
    content = bytearray(staged.read_bytes())
    content[len(content) // 2] ^= 1
    staged.write_bytes(content)

    assert failed_checks(finops) == [("2024-02", "staged files")]


@pytest.mark.usefixtures("loaded")
def test_staging_that_was_cleared_is_not_a_failure(finops):
    shutil.rmtree(finops.data / "staging")

    assert failed_checks(finops) == []


def test_history_shows_every_delivery_and_its_change_in_money(finops, loaded):
    first, second = loaded
    newest, oldest = finops("history", "2024-02", "--json").document["loads"]

    assert (newest["rows"], Decimal(newest["totals"]["USD"])) == second["2024-02"]
    assert (oldest["rows"], Decimal(oldest["totals"]["USD"])) == first["2024-02"]
    assert Decimal(newest["changes"]["USD"]) == second["2024-02"][1] - first["2024-02"][1]
    assert Decimal(oldest["changes"]["USD"]) == first["2024-02"][1]
    assert newest["row_change"] == second["2024-02"][0] - first["2024-02"][0]
    assert (newest["current"], oldest["current"]) == (True, False)


def test_rollback_brings_the_previous_delivery_back_and_keeps_it(finops, loaded, tmp_path, seed):
    first, second = loaded
    rolled_back = {**second, "2024-02": first["2024-02"]}

    assert finops("rollback", "2024-02").code == 0
    assert finops.loaded() == rolled_back
    again = finops.aws("import-cur")
    assert again.outcomes["2024-02"] == "held back"
    assert finops.loaded() == rolled_back
    assert failed_checks(finops) == []

    third = expected(deliver(tmp_path / "bucket", seed, refresh=3))
    assert finops.aws("import-cur").code == 0
    assert finops.loaded() == third


def test_force_loads_what_was_rolled_back(finops, loaded):
    _, second = loaded
    finops("rollback", "2024-02")

    assert finops.aws("import-cur", "--force").code == 0
    assert finops.loaded() == second
    assert finops.aws("import-cur").outcomes["2024-02"] == "unchanged"


def test_a_rollback_needs_an_earlier_delivery_in_staging(finops, loaded):
    _, second = loaded
    for folder in sorted((finops.data / "staging/aws/default/2024-02").iterdir())[:-1]:
        shutil.rmtree(folder)
    answer = finops("rollback", "2024-02", "--json")

    assert answer.code == 4
    assert answer.document["error"]["code"] == "not-staged"
    assert finops.loaded() == second


def test_a_rollback_refuses_staged_files_that_were_changed(finops, loaded):
    _, second = loaded
    oldest = sorted((finops.data / "staging/aws/default/2024-02").iterdir())[0]
    next(oldest.glob("0001-*")).write_bytes(b"something else")
    answer = finops("rollback", "2024-02", "--json")

    assert answer.code == 65
    assert answer.document["error"]["code"] == "staging-lost"
    assert finops.loaded() == second


def test_a_forgotten_period_stays_away_until_force(finops, loaded):
    _, second = loaded
    without = {period: each for period, each in second.items() if period != "2024-02"}

    assert finops("forget", "2024-02").code == 0
    assert finops.loaded() == without
    assert not (finops.data / "staging/aws/default/2024-02").exists()
    assert finops.aws("import-cur").outcomes["2024-02"] == "held back"
    assert finops.loaded() == without
    assert [each["current"] for each in finops("history", "2024-02", "--json").document["loads"]]
    assert failed_checks(finops) == []
    assert finops.aws("import-cur", "--force", "--start-date", "2024-02").code == 0
    assert finops.loaded() == second


def test_forgetting_every_period_leaves_an_empty_view(finops, loaded):
    _, second = loaded
    for period in second:
        assert finops("forget", period).code == 0

    assert finops.loaded() == {}
    assert finops("forget", "2024-02", "--json").document["error"]["code"] == "not-loaded"


def test_a_table_dropped_by_hand_is_reported_and_not_loaded_again(
    finops, loaded, strategy, tmp_path, seed
):
    _, second = loaded
    by_hand(finops, f"DROP TABLE {table_of(strategy, '2024-02')}")
    lost = {"2024-02"} if strategy == "separate" else set(second)

    assert finops.aws("import-cur").outcomes["2024-02"] == "unchanged"
    (status,) = finops("status", "--json").document["exports"]
    assert {problem[:7] for problem in status["problems"]} == lost
    assert {period for period, _ in failed_checks(finops) if period} == lost

    deliver(tmp_path / "bucket", seed, refresh=3, periods=PERIODS[2:])
    assert finops.aws("import-cur").code == 0
    assert lost.isdisjoint(finops.loaded().keys() - {"2024-03"})
    assert finops("rebuild").code == 0
    assert set(finops.loaded()) == set(second)
    assert failed_checks(finops) == []


def test_rebuild_makes_a_damaged_store_again_and_keeps_the_old_file(finops, loaded):
    _, second = loaded
    with finops.database.open("r+b") as file:
        file.write(bytes(8192))
    refused = finops.aws("import-cur")
    assert (refused.code, refused.document["error"]["code"]) == (74, "damaged")

    assert finops("rebuild").code == 0
    assert finops.loaded() == second
    assert len(list(finops.data.glob("open_finops.damaged-*"))) == 1
    assert set(finops.aws("import-cur").outcomes.values()) == {"unchanged"}


def test_rebuild_works_without_the_state(finops, loaded):
    _, second = loaded
    for file in finops.data.glob("state.db*"):
        file.unlink()
    finops.database.unlink()

    assert finops("rebuild").code == 0
    assert finops.loaded() == second


def test_rebuild_leaves_a_period_that_staging_lost(finops, loaded):
    _, second = loaded
    shutil.rmtree(finops.data / "staging/aws/default/2024-02")
    answer = finops("rebuild")

    assert answer.code == 0
    assert "2024-02: is not in staging any more" in answer.err
    assert finops.loaded() == second


def test_keep_periods_drops_the_oldest_and_does_not_bring_them_back(finops, loaded):
    _, second = loaded
    kept = {period: each for period, each in second.items() if period >= "2024-02"}

    assert finops.aws("import-cur", "--keep-periods", "2").code == 0
    assert finops.loaded() == kept
    assert {path.name for path in (finops.data / "staging/aws/default").iterdir()} == set(kept)
    assert set(finops.aws("import-cur", "--keep-periods", "2").outcomes) == set(kept)
    assert finops.aws("import-cur").code == 0
    assert finops.loaded() == second


@pytest.mark.usefixtures("loaded")
def test_status_is_stale_when_the_newest_delivery_is(finops):
    by_hand(finops, "UPDATE finops.loads SET delivered_at = now()::TIMESTAMP - INTERVAL 40 HOURS")

    assert finops("status").code == 0
    assert finops("status", "--max-age", "41h").code == 0
    stale = finops("status", "--max-age", "39h", "--json")
    assert (stale.code, stale.document["stale"]) == (1, ["aws/default"])
    assert finops("status", "--max-age", "soon").code == 2


def test_status_tells_what_failed_last(finops, loaded, tmp_path, seed):
    deliver(tmp_path / "bucket", seed, refresh=3)
    for data_file in (tmp_path / "bucket").rglob("*20240201-20240301/*/*.csv.gz"):
        data_file.write_bytes(data_file.read_bytes()[:-9])
    assert finops.aws("import-cur").code == 3

    (status,) = finops("status", "--json").document["exports"]
    assert status["problems"] == ["2024-02: the newest delivery failed (damaged-file)"]
    assert finops.loaded()["2024-02"] == loaded[1]["2024-02"]


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("command", ["verify", "history", "rollback", "forget"])
def test_an_unknown_export_or_a_bad_period_is_refused(finops, command):
    assert finops(command, "2024-02", "--export", "nobody").code == 78
    assert finops(command, "2024-13").code == 78


@pytest.mark.parametrize("command", ["status", "verify", "history", "rollback", "forget"])
def test_before_anything_is_loaded_there_is_a_word_for_it(finops, command):
    period = [] if command == "status" else ["2024-02"]
    answer = finops(command, "--json", *period)

    assert answer.code == 74
    assert answer.document["error"]["code"] == "no-database"


@pytest.mark.usefixtures("loaded")
def test_what_was_never_loaded_has_no_history_and_cannot_be_verified(finops):
    assert finops("history", "2030-01", "--json").document["loads"] == []
    answer = finops("verify", "2030-01", "--json")
    assert (answer.code, answer.document["error"]["code"]) == (74, "not-loaded")


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize(
    "arguments",
    [
        ("status", "--max-age", "99999999999d"),
        ("rebuild", "--lock-timeout", "nan"),
        ("rebuild", "--lock-timeout", "-1"),
    ],
)
def test_impossible_flags_are_a_wrong_command_line(finops, arguments):
    assert finops(*arguments).code == 2


@pytest.mark.usefixtures("loaded")
def test_every_age_is_too_old_for_zero_hours(finops):
    assert finops("status", "--max-age", "0h").code == 1


def test_a_damaged_block_anywhere_is_found_and_rebuilt(finops, loaded, strategy):
    _, second = loaded
    whole = finops.database.read_bytes()
    found = 0
    # Every other block of one store, and those between of the other.
    first = 12288 + 262144 * STRATEGIES.index(strategy)
    for block in range(first, len(whole), 2 * 262144):
        damaged = bytearray(whole)
        damaged[block + 5000 : block + 5008] = b"\xff" * 8
        finops.database.unlink()  # DuckDB remembers the file that it had open
        finops.database.write_bytes(damaged)
        answer = finops("verify", "--json")
        if answer.code:
            found += 1
            assert (answer.code, answer.document["error"]["code"]) == (74, "damaged")
            assert finops("rebuild").code == 0
        assert finops.loaded() == second
        finops.database.unlink()
        finops.database.write_bytes(whole)
    assert found


def test_a_healthy_store_is_never_set_aside_for_want_of_memory(finops, loaded, monkeypatch):
    _, second = loaded
    monkeypatch.setenv("FINOPS_MEMORY_LIMIT", "1KB")
    assert finops("rebuild").code == 74
    monkeypatch.delenv("FINOPS_MEMORY_LIMIT")

    assert not list(finops.data.glob("*damaged*"))
    assert finops.loaded() == second


def test_a_damaged_store_stays_where_the_exports_in_staging_are_not_known(finops, loaded):
    (finops.data / "staging/aws/default").rename(finops.data / "staging/aws/prod")
    content = finops.database.read_bytes()[:-300_000]
    finops.database.write_bytes(content)
    answer = finops("rebuild", "--json")

    assert (answer.code, answer.document["error"]["code"]) == (78, "config")
    assert "aws/prod" in answer.document["error"]["what"]
    assert finops.database.read_bytes() == content
