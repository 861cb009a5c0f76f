"""The FOCUS dataset is checked, and written for other tools, as it was loaded."""

import shutil
from decimal import Decimal

import duckdb
import pytest

from finops.vendors.aws.sample import SampleLayout, write_sample
from tests.driver import PERIODS, Finops, over_folder


@pytest.fixture(scope="module")
def loaded(tmp_path_factory, seed):
    """Two payers' bills of two months, in two currencies; what they add up to."""
    folder = tmp_path_factory.mktemp("focus")
    layouts = {"one": SampleLayout(), "two": SampleLayout(cur_version="v2", currency="EUR")}
    totals = {}
    for name, layout in layouts.items():
        deliveries = write_sample(
            folder / name, periods=PERIODS[:2], rows=400, seed=seed, layout=layout
        )
        totals |= {(layout.currency, str(each.period)): each for each in deliveries}
    (folder / "config.toml").write_text(
        '[aws]\nprefix = "cur-reports"\nexport_name = "monthly-cur"\nbucket = "./one"\n'
        '[aws.exports.two]\nbucket = "./two"\n'
    )
    finops = Finops(folder / "data")
    assert finops("-c", str(folder / "config.toml"), "aws", "import-cur").code == 0
    return finops, totals


@pytest.fixture
def spoiled(loaded, tmp_path):
    """Return a function that changes a copy of the store, and the command line over it."""

    def change(sql):
        shutil.copytree(loaded[0].data, tmp_path / "data")
        finops = Finops(tmp_path / "data")
        with duckdb.connect(str(finops.database)) as db:
            db.execute(sql)
        return finops

    return change


def written(folder):
    """Return the files below a folder by period and dataset."""
    return {(path.parent.name, path.stem): path for path in folder.rglob("*.parquet")}


def test_a_sample_keeps_every_rule(loaded):
    answer = loaded[0]("focus", "validate", "--json")

    checks = answer.document["checks"]
    assert (answer.code, [check for check in checks if not check["ok"]]) == (0, [])
    assert {check["where"] for check in checks} >= {"all", "aws/default 2024-01", "aws/two 2024-02"}
    assert len({check["rule"] for check in checks}) > 80


def test_what_breaks_a_rule_is_named_with_place_rows_and_money(spoiled):
    finops = spoiled(
        "UPDATE focus.cost_and_usage SET ChargeCategory = 'usage'"
        " WHERE x_RowKind = 'Tax' AND x_Export = 'two' AND x_BillingPeriod = '2024-02'"
    )
    ((tax, rows),) = finops.query(
        "SELECT sum(BilledCost), count(*) FROM focus.cost_and_usage WHERE ChargeCategory = 'usage'"
    )

    answer = finops("focus", "validate", "--json")
    daily, broken = [each for each in answer.document["checks"] if not each["ok"]]

    assert answer.code == 4
    assert "error[not-valid]" in answer.err
    assert (daily["rule"], broken["rule"]) == ("daily-total", "ChargeCategory-allowed")
    assert (broken["where"], broken["rows"]) == ("aws/two 2024-02", rows)
    assert (Decimal(broken["amount"]), broken["currency"]) == (tax, "EUR")
    assert broken["examples"][0].count("/") == 2


def test_one_period_or_export_alone_may_be_asked(spoiled):
    finops = spoiled(
        "UPDATE focus.cost_and_usage SET ServiceName = NULL WHERE x_BillingPeriod = '2024-02'"
    )

    assert finops("focus", "validate", "--period", "2024-01").code == 0
    assert finops("focus", "validate", "--period", "2024-02", "--export", "two").code == 4
    shown = finops("focus", "validate", "--period", "2024-02", "--export", "two").out
    assert "ServiceName-given" in shown
    assert "default" not in shown


def test_a_recommendation_alone_is_no_failure(spoiled):
    finops = spoiled("UPDATE focus.cost_and_usage SET SkuMeter = NULL WHERE SkuId IS NOT NULL")

    answer = finops("focus", "validate")

    assert answer.code == 0
    assert "sku-id-has-sku-meter" in answer.out


@pytest.mark.parametrize("command", [["validate"], ["export-parquet", "--out", "out"]])
def test_what_is_not_loaded_is_said(loaded, tmp_path, command):
    period = "--period" if command == ["validate"] else "--end-date"
    answer = loaded[0]("focus", *command, period, "2023-01")
    assert (answer.code, "there are no charges" in answer.err) == (74, True)

    assert loaded[0]("focus", *command, period, "January").code == 78
    assert loaded[0]("focus", *command, "--export", "third").code == 78
    assert Finops(tmp_path / "empty")("focus", *command).code == 74


@pytest.mark.parametrize(("version", "columns"), [("1.0", 43), ("1.2", 57), ("1.3", 65)])
def test_files_hold_every_charge_in_the_columns_of_the_version(loaded, tmp_path, version, columns):
    finops, totals = loaded

    answer = finops("focus", "export-parquet", "--version", version, "--out", str(tmp_path))

    files = written(tmp_path / f"cost_and_usage_{version.replace('.', '_')}")
    assert answer.code == 0
    assert len(files) == 4
    for (period, dataset), file in files.items():
        delivery = totals["EUR" if dataset == "aws_two" else "USD", period.partition("=")[2]]
        names = duckdb.sql(f"SELECT * FROM read_parquet('{file}', hive_partitioning = false)")
        assert len(names.columns) == columns
        assert names.aggregate("sum(BilledCost), sum(EffectiveCost)").fetchall() == [
            (sum(delivery.totals["billed"].values()), sum(delivery.totals["effective"].values()))
        ]


def test_types_are_those_that_other_tools_know(loaded, tmp_path):
    flags = ("--out", str(tmp_path), "--start-date", "2024-02", "--export", "two")
    assert loaded[0]("focus", "export-parquet", *flags).code == 0

    ((_, file),) = written(tmp_path).items()
    kinds = {
        name: kind
        for name, kind, *_ in duckdb.sql(
            f"DESCRIBE FROM read_parquet('{file}', hive_partitioning = false)"
        ).fetchall()
    }
    assert kinds["BilledCost"] == kinds["ListUnitPrice"] == "DECIMAL(38,24)"
    assert kinds["ChargePeriodStart"] == "TIMESTAMP WITH TIME ZONE"
    assert (kinds["Tags"], kinds["PricingQuantity"]) == ("VARCHAR", "DOUBLE")


def test_a_second_run_writes_nothing(loaded, tmp_path):
    flags = ("focus", "export-parquet", "--out", str(tmp_path), "--json")
    first, second = loaded[0](*flags).results, loaded[0](*flags).results

    assert {each["outcome"] for each in first} == {"exported"}
    assert {each["outcome"] for each in second} == {"unchanged"}
    assert (
        sum(each["rows"] for each in second)
        == loaded[0].query("SELECT count(*) FROM focus.cost_and_usage")[0][0]
    )
    assert not list(tmp_path.rglob("*.part"))


def test_verify_finds_a_charge_that_was_altered(spoiled):
    finops = spoiled(
        "UPDATE focus.cost_and_usage SET BilledCost = BilledCost + 0.01"
        " WHERE rowid = (SELECT min(rowid) FROM focus.cost_and_usage)"
    )

    answer = finops("verify", "--json")

    wrong = {each["check"]: each for each in answer.document["findings"] if each["ok"] is False}
    assert answer.code == 4
    assert {"billed-total", "daily-total"} <= set(wrong)
    assert "0.01 " in wrong["billed-total"]["detail"]


def test_verify_notes_what_does_not_block(spoiled):
    finops = spoiled(
        "UPDATE focus.cost_and_usage SET x_RowKind = 'Unknown'"
        " WHERE x_RowKind = 'Tax' AND x_Export = 'two' AND x_BillingPeriod = '2024-02'"
    )

    answer = finops("verify", "2024-02")

    assert answer.code == 0
    assert "known-line-item-types" in answer.out
    assert " note " in answer.out


def test_a_single_table_has_the_same_charges(loaded, tmp_path):
    bucket = loaded[0].data.parent / "one"
    finops = over_folder(tmp_path / "data", bucket, "--table-strategy", "single")
    assert finops.aws("import-cur").code == 0

    look = (
        "SELECT * EXCLUDE (x_LoadId) FROM focus.cost_and_usage"
        " WHERE x_Export = 'default' ORDER BY ALL"
    )
    assert finops.query(look) == loaded[0].query(look)
