"""Google Cloud's bills through the whole pipeline: files of every form, and tables of BigQuery."""

import json
from decimal import Decimal

import pyarrow
import pyarrow.parquet
import pytest

from finops.period import BillingPeriod
from finops.vendors.gcp.sample import SampleLayout, write_sample
from tests.contract.billing_data import PLACE, deliver, put
from tests.driver import Finops

JULY, AUGUST = BillingPeriod(2026, 7), BillingPeriod(2026, 8)
FORMS = {
    "parquet": SampleLayout(),
    "json": SampleLayout(export_format="json", compression="none", files=3),
    "json-gzip": SampleLayout(export_format="json"),
    "csv-gzip": SampleLayout(export_format="csv", files=1),
}
TABLE = SampleLayout().export_name
# What depends on how JSON is spaced.
SPACED = "x_SourceRowId, x_Credits, x_LoadId"


class Google:
    """The command line over one data folder and one bucket."""

    def __init__(self, root, *place):
        self.bucket = root / "bucket"
        self.finops = Finops(root / "data")
        self.flags = ("--bucket", str(self.bucket), *(place or PLACE))

    def run(self, *arguments, command="import-billing"):
        return self.finops("gcp", command, "--json", *self.flags, *arguments)

    def error(self, *arguments):
        answer = self.run(*arguments)
        document = answer.document
        assert answer.code != 0
        return document.get("error") or document["results"][0]["error"]

    def query(self, sql):
        return self.finops.query(sql)

    def billed(self):
        """Return line items and billed cost by month."""
        rows = self.query(
            "SELECT billing_period, row_count, (SELECT sum(BilledCost) FROM focus.cost_and_usage"
            " WHERE x_BillingPeriod = billing_period) FROM finops.loads WHERE is_current"
        )
        return {period: (count, total) for period, count, total in rows}


@pytest.fixture
def bills(tmp_path):
    return Google(tmp_path)


def made(*deliveries):
    return {str(each.period): (each.rows, each.totals["billed"]["EUR"]) for each in deliveries}


def sample(out, layout=FORMS["parquet"], **more):
    given = {"periods": [JULY, AUGUST], "rows": 300, "seed": 5} | more
    return write_sample(out, layout=layout, **given)


@pytest.mark.parametrize("layout", FORMS.values(), ids=FORMS)
def test_every_form_loads_to_the_last_digit(bills, seed, layout):
    deliveries = sample(bills.bucket, layout, seed=seed)

    answer = bills.run()
    again = bills.run()

    assert (answer.code, answer.err, answer.document["notices"]) == (0, "", [])
    assert bills.billed() == made(*deliveries)
    assert bills.query("SELECT rule FROM finops.checks WHERE NOT ok") == []
    assert again.outcomes == {"2026-07": "unchanged", "2026-08": "unchanged"}
    assert bills.finops("focus", "validate").code == 0


def test_all_forms_are_the_same_bill(tmp_path):
    found = []
    for name, layout in FORMS.items():
        bills = Google(tmp_path / name)
        sample(bills.bucket, layout, periods=[AUGUST], final=True)
        assert bills.run().code == 0
        charges = f"SELECT * EXCLUDE ({SPACED}) FROM focus.cost_and_usage"
        found.append(sorted(map(str, bills.query(charges))))

    assert len(found[0]) > 300
    assert all(each == found[0] for each in found)


def test_a_month_that_is_exported_again_replaces_the_month(bills):
    july, _ = sample(bills.bucket, final=True)
    assert bills.run().code == 0
    (august,) = sample(bills.bucket, final=True, refresh=2, only=[AUGUST])

    answer = bills.run()

    assert answer.outcomes == {"2026-07": "unchanged", "2026-08": "loaded"}
    assert bills.billed() == made(july, august)


def test_a_bucket_loads_to_the_last_digit(tmp_path, gcs_endpoint, gcs_bucket):
    deliveries = sample(tmp_path / "tree")
    for file in sorted(path for path in (tmp_path / "tree").rglob("*") if path.is_file()):
        key = file.relative_to(tmp_path / "tree").as_posix()
        gcs_bucket.blob(key).upload_from_filename(str(file))
    bills = Google(tmp_path)
    place = ("--prefix", "billing", "--export-name", TABLE, "--endpoint", gcs_endpoint)
    bills.flags = ("--bucket", f"gs://{gcs_bucket.name}", *place)

    assert bills.run().code == 0

    assert bills.billed() == made(*deliveries)
    assert set(bills.run().outcomes.values()) == {"unchanged"}


def item(month, cost, **more):
    return {"invoice.month": month, "cost": cost} | more


def test_files_by_day_hold_rows_of_two_months(bills):
    deliver(bills.bucket, [item("202607", "1"), item("202608", "2")], "2026-08-01.csv")
    deliver(bills.bucket, [item("202608", "4")], "2026-08-02.csv")
    assert bills.run().code == 0
    before = bills.billed()

    late = [item("202607", "8", usage_start_time="2026-07-31 20:00:00 UTC"), item("202608", "16")]
    deliver(bills.bucket, late, "2026-08-03.csv")
    answer = bills.run()

    assert before == {"2026-07": (1, 1), "2026-08": (2, 6)}
    assert answer.outcomes == {"2026-07": "loaded", "2026-08": "loaded"}
    assert bills.billed() == {"2026-07": (2, 9), "2026-08": (3, 22)}
    assert bills.query("SELECT count(*) FROM gcp_billing.billing") == [(5,)]


def test_months_outside_the_dates_are_left_out(bills):
    deliver(bills.bucket, [item("202606", "1"), item("202607", "2"), item("202608", "4")])

    assert bills.run("--start-date", "2026-07", "--end-date", "2026-07").code == 0

    assert bills.billed() == {"2026-07": (1, 2)}


def test_an_export_beside_it_is_not_read(bills):
    deliver(bills.bucket, [item("202608", "1")], "one/a.csv")
    deliver(bills.bucket, [item("202608", "2")], "one-more/a.csv")

    assert bills.run("--export-name", "one").code == 0

    assert bills.billed() == {"2026-08": (1, 1)}


CREDITS = "[{'name': \"It's\", 'amount': -0.25, 'full_name': None, 'type': 'DISCOUNT'}]"


def test_lists_as_python_prints_them_are_counted(bills):
    deliver(
        bills.bucket, [item("202608", "1", credits=CREDITS, labels="[{'key': 'a', 'value': 'b'}]")]
    )

    assert bills.run().code == 0

    assert bills.query("SELECT BilledCost, CAST(Tags AS VARCHAR) FROM focus.cost_and_usage") == [
        (Decimal("0.75"), '{"a":"b"}')
    ]
    ((stored,),) = bills.query("SELECT credits FROM gcp_billing.billing")
    assert json.loads(stored)[0]["full_name"] is None


@pytest.mark.parametrize(
    ("cells", "code", "where"),
    [
        ({"credits": "[{'amount': Decimal('-1')}]"}, "bad-cell", "line 3"),
        ({"credits": "-0.25"}, "bad-cell", "line 3"),
        ({"labels": "a=b"}, "bad-cell", "line 3"),
        ({"cost": "1,5"}, "bad-cell", "line 3"),
        ({"usage_start_time": "yesterday"}, "bad-cell", "line 3"),
        ({"invoice.month": ""}, "no-period", "row 2"),
        ({"invoice.month": "202613"}, "no-period", "row 2"),
    ],
    ids=str,
)
def test_what_is_no_bill_is_refused_with_file_and_line(bills, cells, code, where):
    file = deliver(bills.bucket, [item("202608", "1"), item("202608", "1") | cells])

    error = bills.error()

    assert (error["code"], error["where"]) == (code, f"billing/{file.name}, {where}")


@pytest.mark.parametrize(
    "header", ["cost,currency", "a;b", "cost,currency,invoice.month,credits.type,credits.amount"]
)
def test_files_that_are_no_billing_data_are_refused(bills, header):
    put(bills.bucket, f"{header}\n{','.join('1' * header.count(',')) or 1}\n")

    error = bills.error()

    assert (error["code"], error["where"]) == ("bad-header", "billing/usage.csv, line 1")


def test_a_bill_without_credits_is_noted(bills):
    deliver(bills.bucket, [item("202608", "1")], without=["credits"])

    assert "no credit is counted" in bills.run().document["notices"][0]


FOCUS = {
    "BilledCost": 1.25,
    "EffectiveCost": 1.25,
    "ListCost": 2,
    "ContractedCost": 1.25,
    "BillingAccountId": "010101-F0FFF0-61C528",
    "BillingAccountType": "Billing Account",
    "BillingCurrency": "EUR",
    "BillingPeriodStart": "2026-08-01 07:00:00 UTC",
    "BillingPeriodEnd": "2026-09-01 07:00:00 UTC",
    "ChargePeriodStart": "2026-09-01 05:00:00 UTC",
    "ChargePeriodEnd": "2026-09-01 06:00:00 UTC",
    "ChargeCategory": "usage",
    "PricingCurrency": "USD",
    "ProviderName": "Google Cloud",
    "PublisherName": "Google Cloud",
    "ServiceName": "Compute Engine",
    "SubAccountId": "shop-prod",
    "SubAccountName": "Shop",
    "x_Labels": [{"Key": "env", "Value": "label"}, {"Key": "app", "Value": "shop"}],
    "x_Tags": [{"Key": "env", "Value": "tag", "x_Inherited": True}],
    "x_Credits": [{"Name": "d", "Amount": -0.75}],
    "x_Project": {"Id": "shop-prod", "Number": "1"},
    "x_ExportTime": "2026-09-01 08:00:00 UTC",
}
FOCUS_CHARGE = (
    "SELECT x_BillingPeriod, BilledCost, ListCost, ChargeCategory, ChargeFrequency,"
    " ServiceCategory, InvoiceIssuerName, SubAccountType, CAST(Tags AS VARCHAR),"
    " x_RowKind, x_ProjectNumber FROM focus.cost_and_usage"
)
PASSED_ON = (
    *("2026-08", Decimal("1.25"), 2, "Usage", "Usage-Based", "Compute"),
    *("Google Cloud", "Project", '{"app":"shop","env":"tag"}', "Native", "1"),
)


def test_the_focus_table_is_passed_on_with_tags(bills):
    put(bills.bucket, json.dumps(FOCUS), "focus.json")

    answer = bills.run()

    assert (answer.code, answer.document["notices"]) == (0, [])
    assert bills.query(FOCUS_CHARGE) == [PASSED_ON]
    assert bills.query("SELECT rule FROM finops.checks WHERE NOT ok") == []


def test_both_shapes_in_one_place_are_refused(bills):
    put(bills.bucket, json.dumps(FOCUS), "focus.json")
    put(
        bills.bucket,
        json.dumps({"cost": 1, "currency": "EUR", "invoice": {"month": "202608"}}),
        "a.json",
    )

    assert bills.error()["code"] == "two-forms"


def test_what_is_loaded_can_be_looked_at_with_every_command(bills):
    sample(bills.bucket, periods=[AUGUST], final=True)
    assert bills.run().code == 0
    ((row_id,),) = bills.query(
        "SELECT x_SourceRowId FROM focus.cost_and_usage WHERE x_RowKind = 'Promotion' LIMIT 1"
    )

    explained = bills.finops("--json", "explain", row_id)

    assert "The amount of the credit" in explained.out
    for command in (("verify",), ("reconcile",), ("status",), ("report", "services")):
        assert bills.finops(*command).code == 0


class Table:
    """A table of BigQuery, and the command line over it."""

    def __init__(self, bills, server, client, dataset):
        self.bills, self.client = bills, client
        self.name = f"{server.project}.{dataset}.{TABLE}"
        self.bills.flags = ("--bucket", f"bq://{self.name}", "--endpoint", server.endpoint)

    def load(self, tree):
        """Append the Parquet files of a sample's tree, as Google appends what comes."""
        from google.cloud.bigquery import LoadJobConfig

        config = LoadJobConfig(source_format="PARQUET", write_disposition="WRITE_APPEND")
        config.decimal_target_types = ["NUMERIC"]
        for file in sorted(tree.rglob("*.parquet")):
            with file.open("rb") as source:
                self.client.load_table_from_file(source, self.name, job_config=config).result()


@pytest.fixture
def table(bills, bigquery, bigquery_client, bigquery_dataset):
    return Table(bills, bigquery, bigquery_client, bigquery_dataset)


def test_a_table_loads_to_the_last_digit(table, tmp_path):
    deliveries = sample(tmp_path / "tree", final=True)
    table.load(tmp_path / "tree")

    answer = table.bills.run()
    again = table.bills.run()

    assert (answer.code, answer.document["notices"]) == (0, [])
    assert table.bills.billed() == made(*deliveries)
    assert again.outcomes == {"2026-07": "unchanged", "2026-08": "unchanged"}
    assert table.bills.query("SELECT rule FROM finops.checks WHERE NOT ok") == []
    assert table.bills.query("SELECT DISTINCT typeof(cost) FROM gcp_billing.billing") == [
        ("DECIMAL(38,24)",)
    ]


def test_a_table_is_the_same_bill_as_its_files(table, tmp_path):
    sample(tmp_path / "tree", final=True, periods=[AUGUST])
    table.load(tmp_path / "tree")
    files = Google(tmp_path / "files", "--prefix", "billing")
    sample(files.bucket, final=True, periods=[AUGUST])
    assert table.bills.run().code == files.run().code == 0

    charges = f"SELECT * EXCLUDE ({SPACED}) FROM focus.cost_and_usage"
    one, other = (sorted(map(str, each.query(charges))) for each in (table.bills, files))

    assert one == other


def test_late_rows_of_any_month_are_found(table, tmp_path):
    july, august = sample(tmp_path / "tree", final=True)
    table.load(tmp_path / "tree")
    assert table.bills.run().code == 0
    (late,) = sample(tmp_path / "late", final=True, periods=[JULY], rows=200, refresh=2)
    table.load(tmp_path / "late")

    answer = table.bills.run()

    assert answer.outcomes == {"2026-07": "loaded", "2026-08": "unchanged"}
    both = tuple(map(sum, zip(*made(july).values(), *made(late).values(), strict=True)))
    assert table.bills.billed() == {"2026-07": both} | made(august)


def test_only_the_months_within_the_dates_are_asked_for(table, tmp_path):
    july, _ = sample(tmp_path / "tree")
    table.load(tmp_path / "tree")

    answer = table.bills.run("--end-date", "2026-07")

    assert answer.outcomes == {"2026-07": "loaded"}
    assert table.bills.billed() == made(july)


def test_a_dataset_and_the_name_of_a_table_do_as_well(table, tmp_path):
    (august,) = sample(tmp_path / "tree", periods=[AUGUST])
    table.load(tmp_path / "tree")
    dataset, _, name = table.name.rpartition(".")
    table.bills.flags = (
        "--bucket",
        f"bq://{dataset}",
        "--export-name",
        name,
        *table.bills.flags[2:],
    )

    assert table.bills.run().code == 0

    assert table.bills.billed() == made(august)


def test_the_focus_table_of_bigquery_is_passed_on(table):
    rows = [FOCUS | {"x_Credits": []}]
    table.client.load_table_from_json(rows, table.name, job_config=focus_schema()).result()

    answer = table.bills.run()

    assert answer.code == 0, answer.out
    assert table.bills.query(FOCUS_CHARGE) == [PASSED_ON]


def focus_schema():
    from google.cloud.bigquery import LoadJobConfig, SchemaField

    def entries(name):
        fields = [SchemaField("Key", "STRING"), SchemaField("Value", "STRING")]
        return SchemaField(
            name, "RECORD", mode="REPEATED", fields=[*fields, SchemaField("x_Inherited", "BOOL")]
        )

    project = [SchemaField("Id", "STRING"), SchemaField("Number", "STRING")]
    credit = [SchemaField("Name", "STRING"), SchemaField("Amount", "NUMERIC")]
    special = {
        "x_Labels": entries("x_Labels"),
        "x_Tags": entries("x_Tags"),
        "x_Project": SchemaField("x_Project", "RECORD", fields=project),
        "x_Credits": SchemaField("x_Credits", "RECORD", mode="REPEATED", fields=credit),
    }

    def kind(name):
        if name.endswith("Cost"):
            return "NUMERIC"
        return "TIMESTAMP" if name.endswith(("Start", "End", "Time")) else "STRING"

    return LoadJobConfig(
        schema=[special.get(name) or SchemaField(name, kind(name)) for name in FOCUS]
    )


@pytest.mark.parametrize(
    ("bucket", "code", "says"),
    [
        ("bq://finops-tests.nowhere.table", "config", "Not found"),
        ("bq://nobody.nowhere.table", "config", "Not found"),
        ("bq://finops-tests.dataset", "config", "names no table"),
        ("bq://`x`.y.z", "config", "names no table"),
    ],
)
def test_a_table_that_is_not_there_is_said(table, bucket, code, says):
    table.bills.flags = ("--bucket", bucket, *table.bills.flags[2:])

    error = table.bills.error()

    assert error["code"] == code
    assert says in error["what"]


def test_a_table_that_is_no_billing_export_is_said(table):
    table.client.query_and_wait(f"CREATE TABLE `{table.name}` AS SELECT 1 AS cost")

    error = table.bills.error()

    assert (error["code"], error["where"]) == ("bad-header", f"bq://{table.name}")


def test_a_table_takes_no_files(table):
    answer = table.bills.finops("focus", "export-parquet", "--out", "bq://a.b.c")

    assert answer.code != 0


@pytest.mark.parametrize("amount", ["-1,234.56", "-5 USD", "x"])
def test_an_amount_of_a_credit_that_is_no_number_is_refused(bills, amount):
    credit = [{"type": "DISCOUNT", "amount": amount}]
    row = {"cost": 2, "currency": "EUR", "invoice": {"month": "202608"}, "credits": credit}
    put(bills.bucket, json.dumps(row), "a.json")

    assert bills.run().code == 65


def test_a_field_that_nobody_filled_is_no_trouble(bills):
    row = {
        "cost": 2.5,
        "currency": "EUR",
        "invoice": {"month": "202608", "publisher_type": None},
        "credits": [{"type": "DISCOUNT", "amount": -0.5}],
    }
    file = bills.bucket / "billing" / "a.parquet"
    file.parent.mkdir(parents=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), file)

    assert bills.run().code == 0
    assert bills.billed() == {"2026-08": (1, Decimal(2))}
