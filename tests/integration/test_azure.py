"""Azure bills through the whole pipeline: rows and money of every form, and what may go wrong."""

import json
import shutil
from collections import defaultdict
from decimal import Decimal

import pytest

from finops.period import BillingPeriod
from finops.vendors.azure.sample import SampleLayout, write_sample
from tests.contract.cost_details import PLACE, put_manifest, put_run
from tests.driver import Finops
from tests.servers.azurite import ACCOUNT

JANUARY, FEBRUARY = BillingPeriod(2024, 1), BillingPeriod(2024, 2)
SAMPLE_PLACE = (
    *("--prefix", "costs", "--export-name", "daily-actual"),
    *("--amortized-name", "daily-amortized"),
)
FORMS = {
    "ea-2024-csv-gzip": SampleLayout(),
    "ea-2024-parquet-overwritten": SampleLayout(export_format="parquet", versioning="overwrite"),
    "ea-2021-csv": SampleLayout(layout="2021", compression="none"),
    "mca-2024-parquet": SampleLayout(agreement="mca", export_format="parquet"),
    "mca-no-manifest-csv-gzip": SampleLayout(agreement="mca", layout="none", files=1),
}
HEADER = ["Date", "BillingCurrency", "Cost", "ChargeType", "Quantity", "Tags"]
ROW = ["09/05/2023", "USD", "1.5", "Usage", "1", ""]
RUN, LATER = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"


class Azure:
    """The command line over one data folder and one container."""

    def __init__(self, root, place=PLACE):
        self.container = root / "container"
        self.finops = Finops(root / "data")
        self.flags = ("--bucket", str(self.container), *place)

    def run(self, *arguments, command="import-billing"):
        return self.finops("azure", command, "--json", *self.flags, *arguments)

    def error(self):
        (result,) = self.run().results
        return result["error"]

    def query(self, sql):
        return self.finops.query(sql)

    def costs(self, column="cost"):
        """Return rows and cost of each dataset, from the rows themselves."""
        rows = self.query(
            f"SELECT dataset_type, count(*), sum({column}) FROM azure_billing.billing GROUP BY 1"
        )
        return {dataset: (count, total) for dataset, count, total in rows}

    def charged(self):
        ((billed, effective),) = self.query(
            "SELECT sum(BilledCost), sum(EffectiveCost) FROM focus.cost_and_usage"
        )
        return billed, effective


@pytest.fixture
def bills(tmp_path):
    return Azure(tmp_path)


def sums(delivery):
    """Return what the generator says: rows and cost by dataset."""
    money = {"ActualCost": delivery.totals["billed"], "AmortizedCost": delivery.totals["effective"]}
    rows = defaultdict(int)
    for kind, count in delivery.kinds.items():
        rows[kind.split()[0]] += count
    return {dataset: (rows[dataset], sum(money[dataset].values())) for dataset in rows}


@pytest.mark.parametrize("layout", FORMS.values(), ids=FORMS)
def test_every_form_loads_to_the_last_digit(tmp_path, seed, layout):
    bills = Azure(tmp_path, SAMPLE_PLACE)
    (delivery,) = write_sample(
        bills.container, periods=[JANUARY], rows=300, seed=seed, layout=layout
    )

    answer = bills.run()
    again = bills.run()

    assert (answer.code, answer.err, answer.document["notices"]) == (0, "", [])
    (result,) = answer.results
    assert result["rows"] == delivery.rows
    assert bills.costs("costinbillingcurrency") == sums(delivery)
    ((currency, billed),) = delivery.totals["billed"].items()
    assert {code: Decimal(total) for code, total in result["totals"].items()} == {currency: billed}
    assert bills.charged() == (billed, sum(delivery.totals["effective"].values()))
    assert bills.query("SELECT rule FROM finops.checks WHERE NOT ok") == []
    assert again.outcomes == {"2024-01": "unchanged"}
    assert bills.finops("focus", "validate").code == 0


def test_real_bill_loads_to_the_last_digit(bills, samples_dir):
    for name, file in (("actual", "EA_ActualCost"), ("amortized", "EA_AmortizedCost")):
        folder = bills.container / "costs" / name / "20230901-20230930"
        folder.mkdir(parents=True)
        shutil.copy(samples_dir / "azure-ea" / f"{file}_Small.csv", folder / f"{name}_{RUN}.csv")

    answer = bills.run()

    (result,) = answer.results
    assert (result["outcome"], result["rows"]) == ("loaded", 39)
    assert {code: Decimal(total) for code, total in result["totals"].items()} == {
        "USD": Decimal("8.5450077867419368")
    }
    assert bills.costs() == {
        "ActualCost": (11, Decimal("8.5450077867419368")),
        "AmortizedCost": (28, Decimal("16.296932136636644627485419")),
    }
    assert bills.charged() == (
        Decimal("8.5450077867419368"),
        Decimal("5.2950077867419368") + Decimal("0.493152") + Decimal("0.006000000468"),
    )


def test_container_loads_to_the_last_digit(tmp_path, seed, azure, container):
    address = f"az://{ACCOUNT}/{container.container_name}"
    place = ("--endpoint", f"{azure.url}/{ACCOUNT}", *SAMPLE_PLACE)
    bills = Azure(tmp_path, place)
    made = write_sample(bills.container, periods=[JANUARY, FEBRUARY], rows=300, seed=seed)
    for file in sorted(bills.container.rglob("*.*"), key=lambda file: (file.suffix, file)):
        container.upload_blob(file.relative_to(bills.container).as_posix(), file.read_bytes())
    bills.flags = ("--bucket", address, *place)

    answer = bills.run()
    again = bills.run()

    assert answer.code == 0, answer.out
    assert bills.charged()[0] == sum(sum(each.totals["billed"].values()) for each in made)
    assert set(again.outcomes.values()) == {"unchanged"}


@pytest.mark.parametrize("versioning", ["create_new", "overwrite"])
def test_a_later_run_replaces_the_month(tmp_path, seed, versioning):
    bills = Azure(tmp_path, SAMPLE_PLACE)
    layout = SampleLayout(versioning=versioning)
    made = []
    for refresh in (1, 2):
        made += write_sample(
            bills.container,
            periods=[JANUARY, FEBRUARY],
            rows=300,
            seed=seed,
            layout=layout,
            refresh=refresh,
            only=[FEBRUARY] if refresh == 2 else None,
        )
        answer = bills.run()

    assert answer.outcomes == {"2024-02": "loaded", "2024-01": "unchanged"}
    january, before, after = made
    assert before.totals["billed"] != after.totals["billed"]
    rows = bills.query(
        "SELECT x_BillingPeriod, sum(BilledCost) FROM focus.cost_and_usage GROUP BY 1"
    )
    assert dict(rows) == {
        "2024-01": sum(january.totals["billed"].values()),
        "2024-02": sum(after.totals["billed"].values()),
    }


def test_both_strategies_hold_the_same(tmp_path, seed):
    bills = Azure(tmp_path, (*SAMPLE_PLACE, "--table-strategy", "single"))
    made = write_sample(bills.container, periods=[JANUARY, FEBRUARY], rows=300, seed=seed)

    assert bills.run().code == 0
    assert bills.run("--table-strategy", "separate").code == 0

    costs = bills.costs("costinbillingcurrency")
    assert costs["ActualCost"][1] == sum(sum(each.totals["billed"].values()) for each in made)


def test_the_amortized_run_may_come_later(bills):
    reservation = "/providers/microsoft.capacity/reservationOrders/o/reservations/r"
    columns = [*HEADER, "PricingModel", "BenefitId"]
    bought = ["09/01/2023", "USD", "30", "Purchase", "1", "", "Reservation", reservation]
    covered = ["09/05/2023", "USD", "0", "Usage", "1", "", "Reservation", reservation]
    put_run(bills.container, "actual", columns, [bought, covered])
    (bills.container / "costs/amortized/20230801-20230831" / RUN).mkdir(parents=True)
    put_run(bills.container / "before", "amortized", columns, [])
    shutil.copytree(
        bills.container / "before/costs/amortized/20230901-20230930",
        bills.container / "costs/amortized/20230801-20230831",
        dirs_exist_ok=True,
    )
    shutil.rmtree(bills.container / "before")

    first = bills.run("--start-date", "2023-09")
    alone = bills.charged()
    used = ["09/05/2023", "USD", "1", "Usage", "1", "", "Reservation", reservation]
    put_run(bills.container, "amortized", columns, [used])
    second = bills.run("--start-date", "2023-09")

    assert "no AmortizedCost" in first.document["notices"][0]
    assert alone == (30, 30)
    assert second.outcomes == {"2023-09": "loaded"}
    assert second.document["notices"] == []
    assert bills.charged() == (30, 1)


def test_without_actual_cost_commitments_are_not_known_to_be_billed(tmp_path):
    bills = Azure(tmp_path, ("--prefix", "costs", "--amortized-name", "amortized"))
    columns = [*HEADER, "PricingModel"]
    put_run(bills.container, "amortized", columns, [[*ROW, "OnDemand"], [*ROW, "Reservation"]])

    answer = bills.run()

    assert "no ActualCost" in answer.document["notices"][0]
    assert bills.charged() == (Decimal("1.5"), 3)


def test_an_unfinished_run_keeps_what_is_loaded(bills):
    put_run(bills.container, "actual", HEADER, [ROW])
    put_run(bills.container, "amortized", HEADER, [ROW])
    assert bills.run().code == 0
    (manifest,) = (bills.container / "costs/amortized").rglob("manifest.json")
    manifest.unlink()

    answer = bills.run()

    assert answer.code == 75
    assert answer.results[0]["error"]["code"] == "in-progress"
    assert bills.charged()[0] == Decimal("1.5")


@pytest.mark.parametrize("lay", ["no blobs", "a blob without rows"])
def test_an_empty_run_is_a_month_without_rows(bills, lay):
    for name in ("actual", "amortized"):
        file = put_run(bills.container, name, HEADER, [])
        if lay == "no blobs":
            put_manifest(bills.container, name, [], file.parent.name)

    answer = bills.run()

    (result,) = answer.results
    assert (answer.code, result["outcome"], result["rows"], result["totals"]) == (
        0,
        "loaded",
        0,
        {},
    )
    assert bills.query("SELECT count(*) FROM focus.cost_and_usage") == [(0,)]


def rewrite(file, text):
    """Write a file anew; its manifest stays."""
    file.write_bytes(text if isinstance(text, bytes) else text.encode())


def actual_only(bills, text):
    """Deliver one file of ActualCost with these bytes."""
    bills.flags = (*bills.flags[:2], "--prefix", "costs", "--export-name", "actual")
    rewrite(put_run(bills.container, "actual", HEADER, [ROW]), text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            b"\xef\xbb\xbf" + b"Date,BillingCurrency,Cost\n09/05/2023,USD,1.5\n", id="BOM"
        ),
        pytest.param("Date,BillingCurrency,Cost\r\n9/5/2023,USD,1.5\r\n", id="CRLF"),
        pytest.param('Date,BillingCurrency,Cost\n09/05/2023,USD,1.5,""\n', id="stray column"),
        pytest.param("Date,BillingCurrency,Cost\n2023-09-05,USD,15E-1\n", id="scientific"),
        pytest.param("DATE,billingcurrency,COST\n9/5/23,USD,1.50\n", id="case and short year"),
        pytest.param(
            "Datum (Date),Währung (BillingCurrency),Kosten (Cost)\n09/05/2023,USD,1.5\n",
            id="German",
        ),
        pytest.param("UsageDateTime,Currency,PreTaxCost\n2023-09-05,USD,1.5\n", id="legacy"),
    ],
)
def test_files_are_read_however_they_are_written(bills, text):
    actual_only(bills, text)

    answer = bills.run()

    assert answer.code == 0, answer.out
    assert bills.charged() == (Decimal("1.5"), Decimal("1.5"))
    assert bills.query(
        "SELECT CAST(ChargePeriodStart AS DATE)::VARCHAR, x_RowKind FROM focus.cost_and_usage"
    ) == [("2023-09-05", "Usage")]


def test_each_file_tells_for_itself_how_its_dates_are_written(bills):
    bills.flags = (*bills.flags[:2], "--prefix", "costs", "--export-name", "actual")
    files = []
    for number, day in enumerate(("02/09/2023", "09/02/2023")):
        file = put_run(bills.container, "actual", HEADER, [ROW])
        file = file.rename(file.with_name(f"part_{number}.csv"))
        other = "22/09/2023" if number == 0 else "09/22/2023"
        rows = [",".join([date, *ROW[1:]]) for date in (day, other)]
        rewrite(file, "\n".join([",".join(HEADER), *rows, ""]))
        files.append((file, 2))
    put_manifest(bills.container, "actual", files, files[0][0].parent.name)

    assert bills.run().code == 0

    days = bills.query('SELECT DISTINCT "date"::VARCHAR FROM azure_billing.billing ORDER BY 1')
    assert days == [("2023-09-02 00:00:00",), ("2023-09-22 00:00:00",)]


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        (
            "Date,BillingCurrency,Cost\n22/09/2023,USD,1\n09/22/2023,USD,1\n",
            "mixed-dates",
            "line 2",
        ),
        ("Date,BillingCurrency,Cost\n09/05/2023,USD,1\n09/06/2023,USD,x\n", "bad-cell", "line 3"),
        ("Date,BillingCurrency,Cost\n13/13/2023,USD,1\n", "bad-cell", "line 2"),
        ("Date,BillingCurrency,Cost\nyesterday,USD,1\n", "bad-cell", "line 2"),
        ("Date,BillingCurrency,Cost\n09/05/2023,USD,1,x\n", "bad-file", "line 2"),
        ("Date;BillingCurrency;Cost\n09/05/2023;USD;1\n", "bad-header", "line 1"),
        ("Date,Cost\n09/05/2023,1\n", "bad-header", "line 1"),
    ],
)
def test_what_is_no_bill_is_refused_with_file_and_line(bills, text, code, where):
    actual_only(bills, text)

    error = bills.error()

    assert error["code"] == code
    assert error["where"].startswith("costs/actual/20230901-20230930/")
    assert error["where"].endswith(where)


def test_columns_keep_their_names_whatever_case_the_next_month_has(bills):
    for name in ("actual", "amortized"):
        put_run(bills.container, name, ["Date", "BillingCurrency", "benefitId", "Cost"], [])
    assert bills.run().code == 0
    for name in ("actual", "amortized"):
        columns = ["date", "billingCurrency", "BenefitID", "COST", "Brand New"]
        put_run(bills.container, name, columns, [["09/05/2023", "USD", "", "1", "x"]])
    assert bills.run().code == 0

    names = bills.query(
        "SELECT column_name FROM duckdb_columns() WHERE table_name = 'billing'"
        " AND NOT starts_with(column_name, '_finops') ORDER BY column_index"
    )
    assert [name for (name,) in names] == [
        *("billing_period", "date", "cost", "billingcurrency", "benefitid", "dataset_type"),
        "brand_new",
    ]


def test_a_manifest_that_counts_other_rows_is_told(bills):
    actual_only(bills, "Date,BillingCurrency,Cost\n09/05/2023,USD,1\n09/05/2023,USD,1\n")

    notices = bills.run().document["notices"]

    assert any("the manifest says 1 rows, and its files have 2" in each for each in notices)


FOCUS = {
    "BilledCost": "1.25",
    "EffectiveCost": "1.25",
    "ListCost": "2",
    "ContractedCost": "1.25",
    "BillingCurrency": "EUR",
    "BillingAccountId": "/providers/Microsoft.Billing/billingAccounts/1",
    "BillingPeriodStart": "2023-09-01T00:00Z",
    "BillingPeriodEnd": "2023-10-01T00:00Z",
    "ChargePeriodStart": "2023-09-05T00:00Z",
    "ChargePeriodEnd": "2023-09-06T00:00Z",
    "ChargeCategory": "Usage",
    "ProviderName": "Microsoft",
    "PublisherName": "Microsoft",
    "InvoiceIssuerName": "Microsoft",
    "ServiceName": "Virtual Machines",
    "ServiceCategory": "Compute",
    "Tags": '{"env":"prod"}',
    "x_SkuMeterCategory": "Virtual Machines",
    "x_BilledCostInUsd": "1.5",
}


@pytest.mark.parametrize(
    ("version", "more", "seconds"),
    [
        ("1.0", {}, ""),
        ("1.0", {}, ":00"),
        ("1.2", {"InvoiceId": "G1", "PricingCurrency": "EUR", "BillingAccountType": "x"}, ":00"),
    ],
    ids=["1.0", "1.0r2", "1.2"],
)
def test_focus_exports_pass_as_they_are(bills, version, more, seconds):
    bills.flags = (*bills.flags[:2], "--prefix", "costs", "--export-name", "FocusCost")
    cells = {
        name: text.replace("T00:00Z", f"T00:00{seconds}Z") for name, text in (FOCUS | more).items()
    }
    put_run(bills.container, "FocusCost", list(cells), [list(cells.values())])

    answer = bills.run()

    assert (answer.code, answer.document["notices"]) == (0, [])
    assert bills.query(
        "SELECT BilledCost, ListCost, BillingCurrency, CAST(ChargePeriodStart AS VARCHAR),"
        " x_SourceFocusVersion, x_BilledCostInUsd, Tags::VARCHAR FROM focus.cost_and_usage"
    ) == [
        (
            Decimal("1.25"),
            2,
            "EUR",
            "2023-09-05 00:00:00",
            version,
            Decimal("1.5"),
            '{"env":"prod"}',
        )
    ]


def test_what_is_loaded_can_be_looked_at_with_every_command(tmp_path, seed):
    bills = Azure(tmp_path, SAMPLE_PLACE)
    layout = SampleLayout(agreement="mca")
    write_sample(bills.container, periods=[JANUARY], rows=300, seed=seed, layout=layout, final=True)
    assert bills.run().code == 0
    ((row_id,),) = bills.query(
        "SELECT x_SourceRowId FROM focus.cost_and_usage"
        " WHERE x_RowKind = 'ReservationUnused' LIMIT 1"
    )

    explained = bills.finops("--json", "explain", row_id)
    ((charge,),) = [each["charges"] for each in json.loads(explained.out)["rows"]]

    assert "Paid with the purchase" in json.dumps(charge)
    for command in (("verify",), ("reconcile",), ("status",), ("report", "services")):
        assert bills.finops(*command).code == 0


def test_sample_writes_what_import_reads(tmp_path):
    bills = Azure(tmp_path, SAMPLE_PLACE)
    flags = ("--end-date", "2024-03", "--periods", "1", "--rows", "300", "--agreement", "mca")

    written = bills.finops("sample", "azure", "--json", "--out", str(bills.container), *flags)
    loaded = bills.run()

    (delivery,) = written.document["deliveries"]
    assert loaded.results[0]["rows"] == delivery["rows"]
    assert Decimal(loaded.results[0]["totals"]["EUR"]) == Decimal(
        delivery["totals"]["billed"]["EUR"]
    )


@pytest.mark.parametrize("flag", [("--compression", "zip"), ("--amortized-name", "../x")])
def test_sample_refuses_what_azure_has_not(tmp_path, flag):
    assert Finops(tmp_path)("sample", "azure", "--out", str(tmp_path / "b"), *flag).code == 2


def test_an_aws_export_beside_it_is_not_meant_by_its_flags(tmp_path):
    (tmp_path / "config.toml").write_text(
        '[aws]\nprefix = "p"\n[aws.exports.second]\nexport_name = "x"\n'
    )
    bills = Azure(tmp_path, SAMPLE_PLACE)
    write_sample(bills.container, periods=[JANUARY], rows=200, seed=0)

    answer = bills.run("-c", str(tmp_path / "config.toml"))

    assert (answer.code, answer.outcomes) == (0, {"2024-01": "loaded"})


def test_keys_of_another_vendor_are_unknown(tmp_path):
    for text in ('[azure]\ncur_version = "v1"\n', '[aws]\namortized_name = "x"\n'):
        (tmp_path / "config.toml").write_text(text)
        answer = Finops(tmp_path)("-c", str(tmp_path / "config.toml"), "config")
        assert answer.code == 78
        assert "unknown key" in answer.err


def test_all_manifests_are_staged_word_for_word(tmp_path):
    bills = Azure(tmp_path, SAMPLE_PLACE)
    (made,) = write_sample(bills.container, periods=[JANUARY], rows=200, seed=0)

    assert bills.run().code == 0

    (folder,) = (tmp_path / "data/staging/azure/default/2024-01").iterdir()
    staged = [folder / name for name in ("manifest.json", "manifest-2.json")]
    wanted = [bills.container / key for key in made.manifest_keys]
    assert [file.read_bytes() for file in staged] == [file.read_bytes() for file in wanted]


def test_a_month_is_rolled_back_and_rebuilt_with_both_datasets(tmp_path, seed):
    bills = Azure(tmp_path, SAMPLE_PLACE)
    for refresh in (1, 2):
        (made,) = write_sample(
            bills.container, periods=[JANUARY], rows=200, seed=seed, refresh=refresh
        )
        assert bills.run().code == 0
        costs = bills.costs("costinbillingcurrency")
        assert costs == sums(made)

    assert bills.finops("rollback", "2024-01").code == 0
    before = bills.costs("costinbillingcurrency")
    assert bills.finops("rebuild").code == 0

    assert before != costs
    assert bills.costs("costinbillingcurrency") == before
