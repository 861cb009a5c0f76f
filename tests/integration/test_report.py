"""What ``finops report`` answers, held against sums made apart from it."""

import csv
import io
import os
import shutil
from datetime import UTC, datetime
from decimal import Decimal

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finops.answers.report import METRICS, REPORTS, Question, report
from finops.cli import parser
from finops.datadir import DataDir
from finops.money import EXACT
from finops.store.database import reading
from finops.vendors.aws.sample import SampleLayout, write_sample
from tests.driver import PERIODS, Finops

CONFIG = """
[aws]
bucket = "./dollars"
prefix = "cur-reports"
export_name = "monthly-cur"
[aws.exports.europe]
bucket = "./euros"
"""
EUROS = SampleLayout(
    cur_version="v2", export_format="parquet", payer_account="210987654321", currency="EUR"
)
COSTS = {name: column for name, (column, _) in METRICS.items()}
# Before the 15th day after March: a month without invoices is still open then.
DELIVERED = datetime(2024, 4, 2, tzinfo=UTC).timestamp()


@pytest.fixture(scope="module")
def bills(tmp_path_factory, seed):
    """Three months in dollars, the last two of them also in euros, and their deliveries."""
    root = tmp_path_factory.mktemp("bills")
    (root / "config.toml").write_text(CONFIG)
    deliveries = {
        "default": write_sample(root / "dollars", periods=PERIODS, rows=400, seed=seed),
        "europe": write_sample(
            root / "euros", periods=PERIODS[1:], rows=300, seed=seed + 1, layout=EUROS
        ),
    }
    for path in root.rglob("*"):
        os.utime(path, (DELIVERED, DELIVERED))
    assert over(root).aws("import-cur").code == 0
    return root, deliveries


@pytest.fixture
def finops(bills):
    """The command line over both exports; for tests that change nothing."""
    return over(bills[0])


@pytest.fixture
def own(bills, tmp_path):
    """The command line over a copy that a test may change."""
    shutil.copytree(bills[0], tmp_path, dirs_exist_ok=True)
    return over(tmp_path)


def over(root):
    return Finops(root / "data", "-c", str(root / "config.toml"))


def ask(finops, *arguments):
    answer = finops("report", *arguments, "--json", *finops.flags)
    assert answer.code == 0, answer.err
    return answer.document


def refused(finops, *arguments):
    answer = finops("report", *arguments, "--json", *finops.flags)
    return answer.code, answer.document["error"]["code"], answer.err


def by_hand(finops, *statements):
    with duckdb.connect(str(finops.database)) as db:
        for statement in statements:
            db.execute(statement)


def charged(finops, keys, cost="BilledCost", where="true"):
    """Add up the charges themselves."""
    rows = finops.query(
        f"SELECT {keys}, BillingCurrency, sum({cost}) FROM focus.cost_and_usage"
        f" WHERE {where} GROUP BY ALL"
    )
    return {tuple(key): total for *key, total in rows}


def shown(document, *keys):
    cost = document["column"]
    found = {
        tuple(row[key] for key in (*keys, "BillingCurrency")): Decimal(row[cost])
        for row in document["rows"]
    }
    assert len(found) == len(document["rows"])
    return found


def added(rows, cost):
    totals = {}
    for row in rows:
        currency = row["BillingCurrency"]
        totals[currency] = EXACT.add(totals.get(currency, Decimal(0)), row[cost])
    return totals


@pytest.mark.parametrize("metric", ["billed", "effective"])
def test_months_are_what_the_vendor_charged(finops, bills, metric):
    expected = {
        (str(each.period), currency): cost
        for deliveries in bills[1].values()
        for each in deliveries
        for currency, cost in each.totals[metric].items()
    }

    assert shown(ask(finops, "months", "--metric", metric), "x_BillingPeriod") == expected


@pytest.mark.parametrize("metric", COSTS)
@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("services", ("ServiceName", "ServiceCategory")),
        ("accounts", ("SubAccountId",)),
        ("months", ("x_BillingPeriod",)),
    ],
)
def test_every_report_adds_up_the_charges(finops, name, keys, metric):
    document = ask(finops, name, "--metric", metric, "--period", "2024-02:2024-03")

    where = "x_BillingPeriod BETWEEN '2024-02' AND '2024-03'"
    assert shown(document, *keys) == charged(finops, ", ".join(keys), COSTS[metric], where)
    assert (document["metric"], document["column"]) == (metric, COSTS[metric])


def test_two_currencies_are_never_added(finops):
    document = ask(finops, "services")

    assert document["currencies"] == ["EUR", "USD"]
    both = [
        row["ServiceName"] for row in document["rows"] if "Elastic Compute" in row["ServiceName"]
    ]
    assert len(both) == 2
    totals = charged(finops, "'t'", where="x_BillingPeriod = '2024-03'")
    assert {("t", code): Decimal(sum) for code, sum in document["totals"].items()} == totals


def test_rows_come_by_currency_and_the_dearest_first(finops):
    rows = ask(finops, "services")["rows"]

    order = [
        (row["BillingCurrency"], -Decimal(row["BilledCost"]), row["ServiceName"]) for row in rows
    ]
    assert order == sorted(order)


def test_without_a_period_it_is_the_newest_and_of_months_all(finops):
    def periods(*arguments):
        return {each["period"] for each in ask(finops, *arguments)["periods"]}

    every = {str(period) for period in PERIODS}
    assert periods("services") == periods("accounts") == {"2024-03"}
    assert periods("months") == every
    assert periods("services", "--period", "2024-01:2024-03") == every
    assert periods("months", "--period", "2024-02") == {"2024-02"}
    assert periods("months", "--period", "2023-01:2024-01") == {"2024-01"}


def test_one_export_alone(finops):
    document = ask(finops, "months", "--export", "europe")

    assert {each["export"] for each in document["periods"]} == {"europe"}
    expected = charged(finops, "x_BillingPeriod", where="x_Export = 'europe'")
    assert shown(document, "x_BillingPeriod") == expected


def test_each_period_is_final_or_still_open(finops):
    document = ask(finops, "months")

    final = {(each["export"], each["period"]): each["final"] for each in document["periods"]}
    assert final == {
        ("default", "2024-01"): True,
        ("default", "2024-02"): True,
        ("default", "2024-03"): False,
        ("europe", "2024-02"): True,
        ("europe", "2024-03"): False,
    }
    for answer in (finops("report", "months"), finops("report", "months", "--format", "csv")):
        assert (
            "aws/default: 2024-01 to 2024-02 final, 2024-03 still open\n" in answer.out + answer.err
        )
        assert "aws/europe: 2024-02 final, 2024-03 still open\n" in answer.out + answer.err
        assert "billed cost in EUR, USD: what the vendor invoices\n" in answer.out + answer.err


def test_a_gap_is_no_run_of_months(own):
    own("forget", "2024-02", "--export", "default")
    by_hand(own, "UPDATE finops.charge_builds SET is_final = true")

    assert "aws/default: 2024-01 final, 2024-03 final\n" in own("report", "months").out


def test_checks_that_failed_are_said_in_every_format(own):
    failed = "UPDATE finops.checks SET ok = false WHERE billing_period = '2024-03' AND rule = '{}'"
    by_hand(
        own,
        *(
            f"{failed.format(rule)} AND dataset = 'aws_billing'"
            for rule in ("price-order", "list-price")
        ),
    )
    said = (
        "default 2024-03: failed checks: list-price, price-order; finops verify 2024-03 tells more"
    )

    assert said in own("report", "services").out
    assert said in own("report", "services", "--format", "csv").err
    failures = {each["export"]: each["failed_checks"] for each in ask(own, "services")["periods"]}
    assert failures == {"default": ["list-price", "price-order"], "europe": []}
    assert "failed" not in own("report", "services", "--period", "2024-02").out


def test_a_month_is_compared_with_the_one_before(finops):
    first, second, third = ask(finops, "months", "--export", "default")["rows"]

    assert (first["change"], first["change_percent"]) == (None, None)
    for row, before in ((second, first), (third, second)):
        cost, earlier = Decimal(row["BilledCost"]), Decimal(before["BilledCost"])
        assert Decimal(row["change"]) == cost - earlier
        assert row["change_percent"] == pytest.approx(
            float(100 * (cost - earlier) / earlier), abs=0.051
        )
    (alone,) = ask(finops, "months", "--export", "default", "--period", "2024-02")["rows"]
    assert alone == second


def test_an_export_that_joins_is_no_increase(finops):
    changes = {
        row["x_BillingPeriod"]: row["change"] is not None for row in ask(finops, "months")["rows"]
    }

    assert changes == {"2024-01": False, "2024-02": False, "2024-03": True}


def test_there_is_no_change_where_the_month_before_is_missing(own):
    own("forget", "2024-02", "--export", "default")

    rows = ask(own, "months", "--export", "default")["rows"]

    assert [(row["x_BillingPeriod"], row["change"]) for row in rows] == [
        ("2024-01", None),
        ("2024-03", None),
    ]


@pytest.mark.parametrize(
    ("before", "now", "change", "percent"),
    [
        ("8", "9", "+1.00", "+12.5"),
        ("-10", "5", "+15.00", "+150.0"),
        ("-10", "-15", "-5.00", "-50.0"),
        ("0", "5", "+5.00", ""),
        ("5", "5", "0.00", "+0.0"),
        (
            "99999999999.000000000000000000000001",
            "99999999999",
            "-0.000000000000000000000001",
            "-0.0",
        ),
    ],
)
def test_changes_have_a_sign_and_a_rounded_percentage(own, before, now, change, percent):
    set_costs(own, before, now)

    (row,) = csv.DictReader(
        io.StringIO(
            own(
                "report", "months", "--period", "2024-03", "--export", "default", "--format", "csv"
            ).out
        )
    )
    line = own("report", "months", "--period", "2024-03", "--export", "default").out.splitlines()[2]

    assert Decimal(row["change"]) == Decimal(change)
    assert line.split()[3:] == [change, *percent.split()]


def set_costs(finops, *costs):
    """Let the months up to March have one row in the pre-aggregate, with such a cost."""
    by_hand(
        finops,
        "DELETE FROM focus.daily WHERE x_Export = 'default' AND (x_LoadId, rowid) NOT IN"
        " (SELECT (x_LoadId, min(rowid)) FROM focus.daily GROUP BY x_LoadId)",
        *(
            "UPDATE focus.daily SET ServiceName = 'S', ServiceCategory = 'C',"
            f" BilledCost = '{cost}' WHERE x_BillingPeriod = '{period}' AND x_Export = 'default'"
            for cost, period in zip(costs, PERIODS[-len(costs) :], strict=True)
        ),
    )


def test_sums_keep_every_digit(own):
    set_costs(
        own,
        "77777777777.1",
        "88888888888.000000000000000000000001",
        "99999999999.000000000000000000000001",
    )

    document = ask(own, "services", "--period", "2024-01:2024-03", "--export", "default")

    exact = "266666666664.100000000000000000000002"
    assert document["totals"] == {"USD": exact}
    assert [row["BilledCost"] for row in document["rows"]] == [exact]
    assert (
        "266,666,666,664.100000000000000000000002 USD"
        in own("report", "months", "--export", "default").out
    )


def test_what_is_gone_costs_nothing_now(own):
    set_costs(own, "5", "7")
    by_hand(own, "UPDATE focus.daily SET ServiceName = 'Gone' WHERE x_BillingPeriod = '2024-02'")

    rows = ask(own, "months", "--by", "ServiceName", "--export", "default", "--period", "2024-03")[
        "rows"
    ]

    found = {
        row["ServiceName"]: (Decimal(row["BilledCost"]), Decimal(row["change"])) for row in rows
    }
    assert found == {"S": (7, 7), "Gone": (0, -5)}


def test_an_account_is_one_row_under_its_newest_name(own):
    rename = "UPDATE focus.daily SET SubAccountName = {} WHERE x_BillingPeriod = '{}'"
    for name, period in (
        ("'Old ' || SubAccountId", "2024-01"),
        ("'New ' || SubAccountId", "2024-02"),
    ):
        by_hand(own, rename.format(name, period))
    by_hand(own, rename.format("SubAccountId", "2024-03"))

    document = ask(own, "accounts", "--period", "2024-01:2024-03", "--export", "default")

    names = {row["SubAccountId"]: row["SubAccountName"] for row in document["rows"]}
    assert names == {account: f"New {account}" for account in names}
    where = "x_Export = 'default'"
    assert shown(document, "SubAccountId") == charged(own, "SubAccountId", where=where)


def test_an_account_without_a_name_has_none(own):
    by_hand(
        own,
        "UPDATE focus.daily SET SubAccountName = NULL",
        "UPDATE focus.daily SET SubAccountId = NULL WHERE SubAccountId = '098765432109'",
    )

    rows = ask(own, "accounts")["rows"]

    assert {row["SubAccountName"] for row in rows} == {None}
    assert None in {row["SubAccountId"] for row in rows}


@pytest.mark.parametrize("given", ["RegionId", "regionid", "REGIONID"])
def test_by_splits_further_by_any_column(finops, given):
    document = ask(finops, "services", "--by", given)

    keys = ("ServiceName", "ServiceCategory", "RegionId")
    expected = charged(finops, ", ".join(keys), where="x_BillingPeriod = '2024-03'")
    assert list(document["rows"][0]) == [*keys, "BillingCurrency", "BilledCost"]
    assert shown(document, *keys) == expected


@pytest.mark.parametrize("by", ["ServiceName", "BillingCurrency", "servicecategory"])
def test_by_what_is_a_column_already_changes_nothing(finops, by):
    assert ask(finops, "services", "--by", by) == ask(finops, "services")


def test_a_column_that_is_not_there_names_those_near_it(finops):
    code, word, err = refused(finops, "services", "--by", "region")

    assert (code, word) == (2, "usage")
    assert "there is no column to split by 'region'" in err
    assert "did you mean RegionId?" in err
    for measure in ("BilledCost", "x_Charges", 'x"; DROP TABLE focus.daily'):
        assert refused(finops, "services", "--by", measure)[:2] == (2, "usage")


@pytest.fixture(scope="module")
def db(bills):
    with reading(DataDir(bills[0] / "data")) as db:
        yield db


@pytest.fixture(scope="module")
def columns(db):
    described = db.execute("DESCRIBE focus.daily").fetchall()
    found = [name for name, kind, *_ in described if name != "x_Charges" and "DECIMAL" not in kind]
    assert len(found) == 24
    return found


spans = st.tuples(st.integers(1, 3), st.integers(1, 3)).map(
    lambda months: f"2024-0{min(months)}:2024-0{max(months)}"
)


@settings(max_examples=60)
@given(
    data=st.data(),
    name=st.sampled_from(sorted(REPORTS)),
    metric=st.sampled_from(sorted(METRICS)),
    span=spans,
)
def test_however_it_is_split_it_adds_up_to_the_months(db, columns, data, name, metric, span):
    of_one_month = {"day", "InvoiceId", "x_LoadId"} if name == "months" else set()
    useful = [column for column in columns if column not in of_one_month]
    by = data.draw(st.none() | st.sampled_from(useful))

    found = report(db, Question(name, span, metric, by))

    months = report(db, Question("months", span, metric))
    assert added(found.rows, COSTS[metric]) == found.totals == months.totals
    assert found.periods == months.periods
    if name == "months":
        changes = [
            [row for row in each.rows if row["change"] is not None] for each in (found, months)
        ]
        assert added(changes[0], "change") == added(changes[1], "change")


@pytest.mark.parametrize("by", ["day", "x_LoadId", "invoiceid"])
def test_months_are_not_compared_by_what_is_of_one_month(own, by):
    answer = own("report", "months", "--by", by)

    assert (answer.code, "there is no column to split by" in answer.err) == (2, True)
    assert own("report", "services", "--by", by).code == 0


def test_csv_is_exact_and_harmless_and_its_notes_are_apart(own):
    by_hand(own, "UPDATE focus.daily SET ServiceName = '=1+1' WHERE ServiceName = 'AWS Glue'")
    document = ask(own, "services")

    answer = own("report", "services", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(answer.out)))

    names = [row["ServiceName"] for row in document["rows"]]
    assert [row["ServiceName"] for row in rows] == [
        "'=1+1" if name == "=1+1" else name for name in names
    ]
    assert [row["BilledCost"] for row in rows] == [row["BilledCost"] for row in document["rows"]]
    assert answer.err.startswith("total: ")
    assert own("report", "services", "--format", "csv", "-q").err == ""


def test_json_by_either_flag_is_one_document(finops):
    assert (
        finops("report", "months", "--format", "json").out
        == finops("report", "months", "--json").out
    )
    document = ask(finops, "months", "--metric", "list")
    assert document["meaning"] == "at public prices, before any discount"
    assert document["schema_version"] == 1
    assert finops("report", "months", "--json", "--format", "csv").out.startswith(
        "x_BillingPeriod,"
    )


def test_the_table_shows_every_digit_that_is_not_a_closing_zero(finops):
    answer = finops("report", "months")
    ((total,),) = finops.query(
        "SELECT sum(BilledCost) FROM focus.cost_and_usage"
        " WHERE x_BillingPeriod = '2024-01' AND BillingCurrency = 'USD'"
    )

    (line,) = [line for line in answer.out.splitlines() if line.startswith("2024-01 ")]
    assert line.split() == ["2024-01", "USD", f"{total:,f}".rstrip("0")]
    assert answer.err == ""


@pytest.mark.parametrize(
    ("flags", "code", "word"),
    [
        (("--period", "2024-13"), 78, "config"),
        (("--period", "2024-01:"), 78, "config"),
        (("--period", "2024-03:2024-01"), 2, "usage"),
        (("--period", "2030-01"), 74, "not-loaded"),
        (("--export", "nobody"), 78, "config"),
    ],
)
def test_what_cannot_be_answered_is_said(finops, flags, code, word):
    assert refused(finops, "services", *flags)[:2] == (code, word)


def test_before_anything_is_loaded_there_is_a_word_for_it(tmp_path, own):
    assert refused(Finops(tmp_path / "none"), "services")[:2] == (74, "no-database")
    for export, periods in (("default", PERIODS), ("europe", PERIODS[1:])):
        for period in periods:
            assert own("forget", str(period), "--export", export, *own.flags).code == 0

    assert refused(own, "months")[:2] == (74, "not-loaded")


def test_a_database_of_an_older_finops_says_how_it_gets_its_charges(own):
    before = ask(own, "months")
    by_hand(
        own,
        "DROP SCHEMA focus CASCADE",
        *(f"DROP TABLE finops.{name}" for name in ("charge_builds", "checks", "period_totals")),
        "UPDATE finops.meta SET schema_version = 2",
    )
    code, word, err = refused(own, "services")

    assert (code, word) == (74, "no-charges")
    assert "do: finops aws import-cur" in err
    assert own.aws("import-cur").code == 0
    assert ask(own, "months") == before


def test_a_period_without_charges_is_not_passed_over(own):
    by_hand(
        own,
        "DELETE FROM finops.charge_builds"
        " WHERE billing_period = '2024-02' AND dataset = 'aws_billing'",
    )
    code, word, err = refused(own, "months")

    assert (code, word) == (74, "no-charges")
    assert "aws/default 2024-02 is loaded but has no charges yet" in err
    assert ask(own, "services")["periods"][0]["period"] == "2024-03"
    rows = ask(own, "months", "--period", "2024-03")["rows"]
    assert [row["change"] for row in rows] == [None, None]


def test_a_delivery_of_no_charges_is_an_empty_answer(own):
    by_hand(own, "DELETE FROM focus.daily WHERE x_BillingPeriod = '2024-03'")

    assert ask(own, "services")["rows"] == []
    answer = own("report", "services", "--format", "csv")
    assert answer.out == "ServiceName,ServiceCategory,BillingCurrency,BilledCost\n"
    assert answer.err.startswith("total: nothing\n")
    assert own("report", "services").code == 0


def test_a_replaced_delivery_counts_once(own, bills, seed):
    write_sample(own.data.parent / "dollars", periods=PERIODS, rows=400, seed=seed, refresh=2)
    assert own.aws("import-cur").code == 0

    assert shown(ask(own, "months"), "x_BillingPeriod") == charged(own, "x_BillingPeriod")
    assert ask(own, "months")["totals"] != ask(over(bills[0]), "months")["totals"]


def test_the_command_line_offers_what_there_is():
    assert tuple(REPORTS) == parser.REPORTS
    assert tuple(METRICS) == parser.METRICS
