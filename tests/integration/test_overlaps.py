"""One bill through two exports: said wherever exports are added up, and counted as configured."""

import shutil
from contextlib import closing
from decimal import Decimal

import duckdb
import pytest

import finops as product
from finops.cli import load
from finops.vendors.aws.sample import SampleLayout, write_sample
from tests.contract.cost_details import deliver, put_run
from tests.driver import PERIODS, Finops
from tests.memory_warehouse import DATABASES, MemoryWarehouse

CONFIG = """
[aws]
bucket = "./cur"
prefix = "cur-reports"
export_name = "monthly-cur"
{default}
[aws.exports.second]
bucket = "./data-export"
{second}
"""
V2 = SampleLayout(cur_version="v2", export_format="parquet")
LEAVE_OUT, COUNT = 'overlaps = "leave-out"', 'overlaps = "count"'
SHARED = ("2024-02", "2024-03")
ADVICE = 'set overlaps = "leave-out" for the export not to count, or "count" where both are right'


@pytest.fixture(scope="module")
def bills(tmp_path_factory, seed):
    """Three months of a payer as CUR v1, and the last two of them as CUR 2.0, too."""
    root = tmp_path_factory.mktemp("bills")
    write_sample(root / "cur", periods=PERIODS, rows=300, seed=seed, final=True)
    write_sample(
        root / "data-export", periods=PERIODS[1:], rows=200, seed=seed, layout=V2, final=True
    )
    assert over(root).aws("import-cur").code == 0
    return root


@pytest.fixture
def finops(bills, tmp_path):
    """Return a function that configures what the exports say of overlaps."""
    shutil.copytree(bills, tmp_path, dirs_exist_ok=True)
    return lambda **settings: over(tmp_path, **settings)


def over(root, default="", second=""):
    file = root / "config.toml"
    file.write_text(CONFIG.format(default=default, second=second))
    return Finops(root / "data", "-c", str(file))


def ask(finops, *arguments):
    answer = finops(*arguments, "--json", *finops.flags)
    assert answer.code == 0, answer.err
    return answer.document


def said(finops, *arguments):
    answer = finops(*arguments, *finops.flags)
    assert answer.code == 0, answer.err
    return answer.out + answer.err


def charged(finops, where="true", cost="BilledCost"):
    ((total,),) = finops.query(
        f"SELECT coalesce(sum({cost}), 0) FROM focus.cost_and_usage WHERE {where}"
    )
    return total


def total(document):
    return Decimal(document["totals"].get("USD", "0"))


def rows(finops):
    tables = ("focus.cost_and_usage", "focus.daily", "aws_billing.billing", "aws_second.billing")
    return [finops.query(f"SELECT count(*) FROM {table}") for table in tables]


def test_without_a_word_both_count_and_every_total_says_so(finops):
    finops = finops()
    document = ask(finops, "report", "services", "--period", "2024-01:2024-03")

    assert total(document) == charged(finops)
    overlaps = document["overlaps"]
    assert [(each["period"], each["verdict"]) for each in overlaps] == [
        (month, "counted in both") for month in SHARED
    ]
    for each in overlaps:
        assert (each["exports"], each["left_out"]) == (["aws/default", "aws/second"], None)
        where = f"x_BillingPeriod = '{each['period']}' AND x_Export ="
        assert {name: Decimal(costs["USD"]) for name, costs in each["totals"].items()} == {
            f"aws/{name}": charged(finops, f"{where} '{name}'") for name in ("default", "second")
        }
        accounts = finops.query(
            "SELECT DISTINCT SubAccountId FROM focus.daily WHERE x_Export = 'second'"
            f" AND BilledCost <> 0 AND x_BillingPeriod = '{each['period']}' ORDER BY 1"
        )
        assert each["accounts"] == [account for (account,) in accounts]
    for form in ("table", "csv"):
        text = said(finops, "report", "months", "--format", form)
        assert "\ncounted in both aws/default (" in text
        assert f" more of 2024-02 to 2024-03; {ADVICE}\n" in text


@pytest.mark.parametrize("metric", ["billed", "effective", "list", "contracted"])
@pytest.mark.parametrize(
    ("setting", "left", "kept"),
    [("second", "second", "default"), ("default", "default", "second")],
)
def test_what_one_export_leaves_to_the_other_is_in_no_total(finops, setting, left, kept, metric):
    finops = finops(**{setting: LEAVE_OUT})
    before = rows(finops)
    document = ask(finops, "report", "months", "--metric", metric)

    cost = document["column"]
    shared = f"x_BillingPeriod IN {SHARED}"
    out = charged(finops, f"x_Export = '{left}' AND {shared}", cost)
    assert out > 0
    assert total(document) == charged(finops, cost=cost) - out
    assert {row["x_BillingPeriod"]: Decimal(row[cost]) for row in document["rows"]} == {
        "2024-01": charged(finops, "x_BillingPeriod = '2024-01'", cost),
        **{
            month: charged(finops, f"x_BillingPeriod = '{month}' AND x_Export = '{kept}'", cost)
            for month in SHARED
        },
    }
    for each in document["overlaps"]:
        assert (each["verdict"], each["left_out"]) == ("left out", f"aws/{left}")
    shown = sum(Decimal(each["totals"][f"aws/{left}"]["USD"]) for each in document["overlaps"])
    assert shown == out
    text = said(finops, "report", "months", "--metric", metric)
    assert f"\nleft out: aws/{left} (" in text
    assert f"which aws/{kept} (" in text
    assert "counted in both" not in text
    assert rows(finops) == before


def test_every_report_leaves_out_the_same_and_one_export_alone_nothing(finops):
    finops = finops(second=LEAVE_OUT)
    months = ("--period", "2024-01:2024-03")
    wanted = charged(finops, "x_Export = 'default'")

    for name in ("services", "accounts", "months"):
        assert total(ask(finops, "report", name, *months)) == wanted
    alone = ask(finops, "report", "services", "--export", "second", *months)
    assert total(alone) == charged(finops, "x_Export = 'second'")
    assert alone["overlaps"] == []
    (january,) = ask(finops, "report", "months", "--period", "2024-01")["rows"]
    assert Decimal(january["BilledCost"]) == charged(finops, "x_BillingPeriod = '2024-01'")
    assert "left out" not in said(finops, "report", "months", "--period", "2024-01")


def test_a_change_is_of_what_counts_in_both_months(finops):
    finops = finops(second=LEAVE_OUT)

    document = ask(finops, "report", "months", "--period", "2024-03")

    (march,) = document["rows"]
    assert [each["period"] for each in document["overlaps"]] == ["2024-03"]

    now, then = (
        charged(finops, f"x_Export = 'default' AND x_BillingPeriod = '{month}'")
        for month in ("2024-03", "2024-02")
    )
    assert (Decimal(march["BilledCost"]), Decimal(march["change"])) == (now, now - then)


def test_an_account_that_only_the_export_has_counts_with_the_rest_of_it_left_out(finops):
    finops = finops(second=LEAVE_OUT)
    with duckdb.connect(str(finops.database)) as db:
        db.execute(
            "UPDATE focus.daily SET SubAccountId = '/linked/' || SubAccountId"
            " WHERE x_Export = 'second'"
        )
        ((account, own),) = db.execute(
            "SELECT SubAccountId, sum(BilledCost) FROM focus.daily"
            " WHERE x_BillingPeriod = '2024-03' AND x_Export = 'second'"
            " GROUP BY 1 ORDER BY 2 DESC LIMIT 1"
        ).fetchall()
        db.execute("UPDATE focus.daily SET SubAccountId = 'new' WHERE SubAccountId = ?", [account])

    document = ask(finops, "report", "accounts", "--period", "2024-03")

    where = "x_BillingPeriod = '2024-03' AND x_Export = 'default'"
    assert total(document) == charged(finops, where) + own
    (row,) = [row for row in document["rows"] if row["SubAccountId"] == "new"]
    assert Decimal(row["BilledCost"]) == own
    ((overlap),) = document["overlaps"]
    assert account.rpartition("/")[2] not in overlap["accounts"]


def test_if_both_are_left_out_the_first_by_name_counts(finops):
    finops = finops(default=LEAVE_OUT, second=LEAVE_OUT)
    document = ask(finops, "report", "months")

    assert {each["left_out"] for each in document["overlaps"]} == {"aws/second"}
    assert total(document) == charged(finops, "x_Export = 'default'")


def test_status_and_doctor_tell_until_it_is_settled(finops):
    undecided = finops()
    status = ask(undecided, "status")
    assert [each["period"] for each in status["overlaps"]] == list(SHARED)
    assert f"; {ADVICE}\n" in said(undecided, "status")
    assert len(ask(undecided, "status", "--export", "second")["overlaps"]) == 2
    checks = {each["subject"]: each for each in ask(undecided, "doctor")["checks"]}
    assert (checks["overlaps"]["verdict"], checks["overlaps"]["do"]) == ("warning", ADVICE)
    (line,) = checks["overlaps"]["lines"]
    assert line.startswith("counted in both aws/default (")

    left_out = finops(second=LEAVE_OUT)
    assert "left out: aws/second (" in said(left_out, "status")
    accepted = finops(second=COUNT)
    assert "aws/second (" not in said(accepted, "status")
    assert [each["verdict"] for each in ask(accepted, "status")["overlaps"]] == ["accepted"] * 2
    for settled in (left_out, accepted):
        checks = {each["subject"]: each for each in ask(settled, "doctor")["checks"]}
        assert (checks["overlaps"]["verdict"], checks["overlaps"]["do"]) == ("ok", None)


def test_what_is_accepted_counts_twice_and_is_not_warned_of(finops):
    finops = finops(second=COUNT)
    document = ask(finops, "report", "months")

    assert total(document) == charged(finops)
    assert {each["verdict"] for each in document["overlaps"]} == {"accepted"}
    text = said(finops, "report", "months")
    assert "counted in both" not in text
    assert "left out" not in text


def test_no_two_exports_are_added_to_explain_an_invoice(finops, tmp_path):
    finops = finops()
    stated = charged(
        finops, "x_BillingPeriod = '2024-02' AND x_Export = 'default' AND InvoiceId IS NOT NULL"
    )
    file = tmp_path / "invoices.csv"
    file.write_text(f"invoice_id,total,currency,period\n9999,{stated:f},USD,2024-02\n")

    answer = finops("reconcile", "--invoice", str(file), "--json", *finops.flags)

    (line,) = [line for line in answer.document["lines"] if line["invoice_id"] == "9999"]
    assert {(each["explains"], Decimal(each["amount"])) for each in line["suspects"]} == {
        (True, stated)
    }


def test_a_notebook_counts_as_the_configuration_says(finops, monkeypatch):
    finops = finops(second=LEAVE_OUT)
    with product.open(finops.flags[1]) as db:
        answer = db.report("services", period="2024-03")
        html = answer._repr_html_()

    where = "x_BillingPeriod = '2024-03' AND x_Export = 'default'"
    assert answer.totals == {"USD": charged(finops, where)}
    assert "left out: aws/second (" in html
    monkeypatch.chdir(finops.data.parent)
    with product.open() as db:
        assert db.report("services", period="2024-03") == answer


@pytest.mark.parametrize("setting", [{}, {"second": LEAVE_OUT}])
def test_files_have_the_charges_of_both_and_the_run_says_so(finops, tmp_path, setting):
    finops = finops(**setting)
    answer = finops(
        "focus", "export-parquet", "--out", str(tmp_path / "out"), "--json", *finops.flags
    )

    assert answer.code == 0
    (notice,) = answer.document["notices"]
    assert notice.startswith("published from both aws/")
    assert notice.endswith("; let totals leave one of them out")
    files = f"{tmp_path}/out/**/*.parquet"
    ((count, billed),) = duckdb.sql(
        f"SELECT count(*), sum(BilledCost) FROM read_parquet('{files}')"
    ).fetchall()
    assert [(count,)] == finops.query("SELECT count(*) FROM focus.cost_and_usage")
    assert billed == charged(finops)


def test_a_warehouse_has_the_charges_of_both_and_the_run_says_so(finops, tmp_path, monkeypatch):
    monkeypatch.setattr(load, "connect", lambda *place: closing(MemoryWarehouse(*place)))
    finops = finops(second=LEAVE_OUT)
    with (tmp_path / "config.toml").open("a") as file:
        file.write(f'[warehouse.w]\ntype = "postgres"\nuri = "postgresql://{tmp_path.name}/x"\n')

    charges = finops.aws("load-billing-remote", "--focus").document
    line_items = finops.aws("load-billing-remote").document

    (notice,) = charges["notices"]
    assert notice.startswith("published from both aws/")
    assert line_items["notices"] == []
    with closing(DATABASES[f"postgresql://{tmp_path.name}/x"].cursor()) as db:
        (found,) = db.execute("SELECT count(*) FROM focus.cost_and_usage").fetchall()
    assert [found] == finops.query("SELECT count(*) FROM focus.cost_and_usage")


def test_a_store_without_charges_has_no_overlaps(finops):
    finops = finops()
    with duckdb.connect(str(finops.database)) as db:
        db.execute("DROP SCHEMA focus CASCADE")
        db.execute("UPDATE finops.meta SET schema_version = 2")

    assert ask(finops, "status")["overlaps"] == []
    checks = {each["subject"]: each for each in ask(finops, "doctor")["checks"]}
    assert checks["overlaps"]["verdict"] == "ok"


def test_a_value_that_is_none_is_refused(finops):
    finops = finops(second='overlaps = "leaveout"')
    refused = finops("report", "months", *finops.flags)

    assert (refused.code, "did you mean 'leave-out'?" in refused.err) == (78, True)


AZURE = """
[azure]
bucket = "./wide"
prefix = "costs"
export_name = "actual"
[azure.exports.sub]
bucket = "./narrow"
export_name = "FocusCost"
{sub}
"""
SUBSCRIPTION = "1caaa5a3-2b66-438e-8ab4-bce37d518c5d"
FOCUS = {
    "BilledCost": "1.5",
    "EffectiveCost": "1.5",
    "ListCost": "2",
    "ContractedCost": "1.5",
    "BillingCurrency": "USD",
    "BillingAccountId": "/providers/Microsoft.Billing/billingAccounts/8611537",
    "SubAccountId": f"/subscriptions/{SUBSCRIPTION.upper()}",
    "BillingPeriodStart": "2023-09-01T00:00Z",
    "ChargePeriodStart": "2023-09-05T00:00Z",
    "ChargePeriodEnd": "2023-09-06T00:00Z",
    "ChargeCategory": "Usage",
    "ProviderName": "Microsoft",
    "ServiceName": "Virtual Machines",
}


def test_a_subscription_inside_a_wider_scope_is_found_however_its_id_is_written(tmp_path):
    costs = {SUBSCRIPTION: "1.25", "22222222-2b66-438e-8ab4-bce37d518c5d": "40"}
    items = [{"SubscriptionId": subscription, "Cost": cost} for subscription, cost in costs.items()]
    deliver(tmp_path / "wide", {"line_item": items}, ["actual"])
    put_run(tmp_path / "narrow", "FocusCost", list(FOCUS), [list(FOCUS.values())])

    def totals(setting):
        file = tmp_path / "config.toml"
        file.write_text(AZURE.format(sub=setting))
        finops = Finops(tmp_path / "data", "-c", str(file))
        assert finops("azure", "import-billing", *finops.flags).code == 0
        document = ask(finops, "report", "accounts")
        (overlap,) = document["overlaps"]
        assert (overlap["period"], overlap["accounts"]) == ("2023-09", [SUBSCRIPTION])
        return total(document), overlap["left_out"]

    assert totals("") == (Decimal("42.75"), None)
    assert totals(LEAVE_OUT) == (Decimal("41.25"), "azure/sub")
