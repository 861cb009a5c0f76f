"""``finops.open()``: the database and the reports in somebody's own Python."""

import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import duckdb
import pytest

import finops as product
from finops.errors import ConfigError, FinopsError, LocalError, UsageError
from finops.vendors.aws.sample import write_sample
from tests.driver import PERIODS, expected, over_folder

SRC = Path(__file__).parents[2] / "src"


@pytest.fixture(scope="module")
def bills(tmp_path_factory, seed):
    root = tmp_path_factory.mktemp("bills")
    deliveries = write_sample(root / "bucket", periods=PERIODS[:2], rows=200, seed=seed)
    assert over_folder(root / "data", root / "bucket").aws("import-cur").code == 0
    (root / "config.toml").write_text('[project]\ndata_dir = "data"\n')
    return root, expected(deliveries)


@pytest.fixture
def db(bills):
    with product.open(bills[0] / "data") as db:
        yield db


@pytest.mark.parametrize("place", ["here", "environment", "file", "folder", "text"])
def test_the_data_is_found_as_the_command_line_finds_it(bills, tmp_path, monkeypatch, place):
    root, totals = bills
    path = {"file": root / "config.toml", "folder": root / "data", "text": str(root / "data")}
    monkeypatch.chdir(root if place == "here" else tmp_path)
    if place == "environment":
        monkeypatch.setenv("FINOPS_DATA_DIR", str(root / "data"))

    with product.open(path.get(place)) as db:
        rows = db.sql("SELECT billing_period, row_count FROM finops.loads").fetchall()

    assert dict(rows) == {period: count for period, (count, _) in totals.items()}


def test_reports_are_rows_with_decimals(db, bills):
    answer = db.report("months", metric="billed", period="2024-01:2024-02")

    assert {row["x_BillingPeriod"]: row["BilledCost"] for row in answer.rows} == {
        period: total for period, (_, total) in bills[1].items()
    }
    assert all(isinstance(row["BilledCost"], Decimal) for row in answer.rows)
    assert (answer.currency, answer.metric) == ("USD", "billed")
    assert [(each.export, str(each.period)) for each in answer.periods] == [
        ("default", "2024-01"),
        ("default", "2024-02"),
    ]
    split = db.report("services", by="regionid", export="default")
    assert split.columns == (
        "ServiceName",
        "ServiceCategory",
        "RegionId",
        "BillingCurrency",
        "BilledCost",
    )


def test_sql_binds_its_values(db, bills):
    relation = db.sql(
        "SELECT sum(BilledCost) FROM focus.daily WHERE x_BillingPeriod = $p", p="2024-01"
    )

    assert relation.fetchall() == [(bills[1]["2024-01"][1],)]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM focus.daily",
        "CREATE TABLE focus.mine AS SELECT 1",
        "SELECT * FROM read_text('/etc/hostname')",
        "COPY focus.daily TO '/tmp/stolen.csv'",
        "ATTACH '/tmp/other.duckdb'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
    ],
)
def test_nothing_is_written_and_nothing_else_is_read(db, statement):
    with pytest.raises(duckdb.Error, match=r"read-only|disabled|locked"):
        db.sql(statement)


def test_the_second_time_it_is_opened_it_shows_what_was_loaded_meanwhile(tmp_path, seed):
    finops = over_folder(tmp_path / "data", tmp_path / "bucket")
    for months in (1, 2):
        write_sample(tmp_path / "bucket", periods=PERIODS[:months], rows=50, seed=seed, final=True)
        assert finops.aws("import-cur").code == 0
        if months == 1:
            first = product.open(finops.data)
            before = first.report("months")

    second = product.open(finops.data)

    assert [len(each.report("months").rows) for each in (first, second)] == [1, 2]
    assert first.report("months") == before
    first.close()
    assert len(second.report("months").rows) == 2
    second.close()


def test_it_is_closed_at_the_end_of_the_block_and_errors_stay_what_they_are(bills):
    with pytest.raises(duckdb.ParserException), product.open(bills[0] / "data") as db:
        db.sql("SELEC 1")
    with pytest.raises(duckdb.ConnectionException):
        db.sql("SELECT 1")


def test_a_notebook_shows_a_table_that_runs_nothing(tmp_path, bills):
    data = tmp_path / "data"
    data.mkdir()
    copy = data / "open_finops.duckdb"
    copy.write_bytes((bills[0] / "data/open_finops.duckdb").read_bytes())
    with duckdb.connect(str(copy)) as db:
        db.execute("UPDATE focus.daily SET ServiceName = '<script>x', BilledCost = 1234567.10")

    with product.open(data) as db:
        answer = db.report("services", by="RegionId")
    html = answer._repr_html_()

    assert "<script>" not in html
    assert html.count("<td>&lt;script&gt;x</td>") == len(answer.rows)
    assert "billed cost in USD: what the vendor invoices<br>aws/default: 2024-02" in html
    assert html.count("<tr>") == len(answer.rows) + 1
    assert "<td>1,234,567.1</td>" in html
    assert "<td></td>" in html


def test_df_hands_the_rows_to_pandas(db, monkeypatch):
    pandas = ModuleType("pandas")
    pandas.DataFrame = lambda rows, columns: (rows, columns)
    monkeypatch.setitem(sys.modules, "pandas", pandas)

    answer = db.report("services")

    assert answer.df() == (answer.rows, list(answer.columns))


def test_without_pandas_the_error_says_what_installs_it(db, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)

    with pytest.raises(LocalError) as error:
        db.report("services").df()

    assert (error.value.code, error.value.do) == ("missing-extra", "pip install pandas")


@pytest.mark.parametrize(
    ("question", "kind", "advice"),
    [
        ({"name": "service"}, UsageError, "did you mean services?"),
        ({"name": "services", "metric": "amortized"}, UsageError, "known: billed, effective"),
        ({"name": "services", "by": "region"}, UsageError, "did you mean RegionId?"),
        ({"name": "services", "period": "2024"}, ConfigError, "write it as YYYY-MM"),
        ({"name": "services", "period": "2030-01"}, LocalError, "finops status"),
    ],
)
def test_an_error_carries_what_to_do(db, question, kind, advice):
    with pytest.raises(kind) as error:
        db.report(**question)

    assert any(advice in note for note in error.value.__notes__)


def test_without_a_database_the_error_says_how_to_get_one(tmp_path):
    with pytest.raises(FinopsError) as error:
        product.open(tmp_path)

    assert error.value.code == "no-database"
    assert "finops aws import-cur" in error.value.__notes__[0]
    with pytest.raises(ConfigError):
        product.open(tmp_path / "missing.toml")


def test_importing_finops_loads_nothing_heavy():
    script = "import finops, sys; print(*sorted({'duckdb', 'rich', 'pandas'} & sys.modules.keys()))"
    shown = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(SRC)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert shown.stdout == "\n"
