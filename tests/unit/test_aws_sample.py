"""The sample's promise: what AWS would deliver, the same in every format, true to the cent."""

import csv
import gzip
import io
import json
import zipfile
from collections import Counter, defaultdict
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finops.period import BillingPeriod
from finops.vendors.aws.names import aws_column_name
from finops.vendors.aws.sample import SampleLayout, write_sample

PERIODS = [BillingPeriod(2024, month) for month in (1, 2, 3)]
JANUARY, FEBRUARY, MARCH = PERIODS
TYPES = {
    "Usage",
    "DiscountedUsage",
    "RIFee",
    "Fee",
    "SavingsPlanCoveredUsage",
    "SavingsPlanNegation",
    "SavingsPlanRecurringFee",
    "SavingsPlanUpfrontFee",
    "Tax",
    "Credit",
    "Refund",
    "EdpDiscount",
}
LAYOUTS = {
    "v1-csv-gzip": SampleLayout(),
    "v1-csv-zip": SampleLayout(compression="zip", files=3),
    "v1-csv-overwritten": SampleLayout(compression="none", versioning="overwrite"),
    "v1-parquet": SampleLayout(export_format="parquet"),
    "v2-csv": SampleLayout(cur_version="v2"),
    "v2-parquet": SampleLayout(cur_version="v2", export_format="parquet"),
    "v2-parquet-overwritten": SampleLayout(
        cur_version="v2", export_format="parquet", versioning="overwrite", files=1
    ),
}
every_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())


def read_lines(out, delivery):
    """Return the line items as AWS spells their columns, empty as '', numbers as exact text."""
    return [line for key in delivery.data_keys for line in read_file(out / key)]


def read_file(path):
    if path.suffix == ".parquet":
        with duckdb.connect() as con:
            found = con.execute("FROM read_parquet(?, hive_partitioning = false)", [str(path)])
            names = [column[0] for column in found.description]
            return [
                {name: cell_text(cell) for name, cell in zip(names, row, strict=True)}
                for row in found.fetchall()
            ]
    header, *rows = csv.reader(io.StringIO(read_csv_text(path), newline=""), strict=True)
    names = [aws_column_name(name) for name in header]
    return [dict(zip(names, row, strict=True)) for row in rows]


def read_csv_text(path):
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes()).decode()
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as bundle:
            (name,) = bundle.namelist()
            return bundle.read(name).decode()
    return path.read_text()


def cell_text(cell):
    if isinstance(cell, datetime):
        return f"{cell.isoformat()}Z"
    return cell if isinstance(cell, dict) else "" if cell is None else str(cell)


def money(line, column):
    return Decimal(line[column] or 0)


def total(lines, column, *types):
    return sum(
        (money(x, column) for x in lines if x["line_item_line_item_type"] in types), Decimal(0)
    )


def amortised(line):
    """Follow the CASE of the Cloud Intelligence Dashboards, apart from the sample's own SQL."""
    columns = {
        "SavingsPlanCoveredUsage": ("savings_plan_savings_plan_effective_cost",),
        "SavingsPlanNegation": (),
        "SavingsPlanUpfrontFee": (),
        "DiscountedUsage": ("reservation_effective_cost",),
        "RIFee": (
            "reservation_unused_amortized_upfront_fee_for_billing_period",
            "reservation_unused_recurring_fee",
        ),
        "SavingsPlanRecurringFee": ("savings_plan_total_commitment_to_date",),
    }
    kind = line["line_item_line_item_type"]
    if kind == "Fee" and line["reservation_reservation_a_r_n"]:
        return Decimal(0)
    amount = sum(money(line, name) for name in columns.get(kind, ("line_item_unblended_cost",)))
    used = kind == "SavingsPlanRecurringFee"
    return amount - money(line, "savings_plan_used_commitment") if used else amount


def true_up(line):
    return -money(line, "savings_plan_amortized_upfront_commitment_for_billing_period") - money(
        line, "reservation_amortized_upfront_fee_for_billing_period"
    )


def upfront(line):
    kind = line["line_item_line_item_type"]
    bought = kind == "Fee" and line["reservation_reservation_a_r_n"]
    paid = kind == "SavingsPlanUpfrontFee" or bought
    return money(line, "line_item_unblended_cost") if paid else Decimal(0)


def written(out, **changes):
    arguments = {"periods": [JANUARY], "rows": 1000, "seed": 7, "layout": SampleLayout()}
    return write_sample(out, **(arguments | changes))


@pytest.fixture(scope="module")
def sampled(tmp_path_factory):
    """Return the folder, the delivery and the line items of a layout, written once."""

    @cache
    def write(layout):
        folder = tmp_path_factory.mktemp("sample")
        (delivery,) = written(folder, layout=layout)
        return folder, delivery, read_lines(folder, delivery)

    return write


def snapshot(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@settings(max_examples=5, deadline=None)
@given(
    seed=st.integers(0, 2**40),
    rows=st.integers(200, 900),
    refresh=st.integers(1, 12),
    layout=st.sampled_from([LAYOUTS["v1-csv-overwritten"], LAYOUTS["v2-parquet"]]),
)
def test_unblended_is_amortised_plus_true_up_plus_upfront(seed, rows, refresh, layout):
    with TemporaryDirectory() as folder:
        for delivery in written(
            Path(folder), periods=PERIODS[:2], rows=rows, seed=seed, refresh=refresh, layout=layout
        ):
            lines = read_lines(Path(folder), delivery)

            billed = sum(money(line, "line_item_unblended_cost") for line in lines)
            spread = sum(amortised(line) for line in lines)
            assert billed == spread + sum(true_up(x) for x in lines) + sum(
                upfront(x) for x in lines
            )
            assert delivery.totals["billed"] == {"USD": billed}
            assert delivery.totals["effective"] == {"USD": spread}
            assert delivery.rows == len(lines)


@every_layout
def test_every_layout_carries_the_same_line_items(sampled, layout):
    texts = (
        "line_item_line_item_type",
        "line_item_usage_account_id",
        "line_item_resource_id",
        "line_item_usage_start_date",
    )
    numbers = (
        "line_item_unblended_cost",
        "line_item_usage_amount",
        "pricing_public_on_demand_cost",
        "savings_plan_used_commitment",
        "reservation_effective_cost",
    )

    def content(chosen):
        return Counter(
            (*(line[name] for name in texts), *(money(line, name) for name in numbers))
            for line in sampled(chosen)[2]
        )

    assert content(layout) == content(SampleLayout())


@every_layout
def test_a_delivery_says_what_is_in_its_files(sampled, layout):
    folder, delivery, lines = sampled(layout)

    assert delivery.rows == len(lines)
    assert delivery.kinds == Counter(x["line_item_line_item_type"] for x in lines)
    assert delivery.bytes == sum((folder / key).stat().st_size for key in delivery.data_keys)
    assert len(delivery.data_keys) == layout.files
    assert len({line["identity_line_item_id"] for line in lines}) == len(lines)
    assert {line["bill_payer_account_id"] for line in lines} == {"012345678910"}


@every_layout
def test_the_same_arguments_give_the_same_bytes(sampled, tmp_path, layout):
    again = written(tmp_path, layout=layout)

    assert again == [sampled(layout)[1]]
    assert snapshot(tmp_path) == snapshot(sampled(layout)[0])


def test_another_seed_gives_another_bill(sampled, tmp_path):
    (other,) = written(tmp_path, seed=8)

    assert other.totals["billed"] != sampled(SampleLayout())[1].totals["billed"]


@pytest.mark.parametrize("rows", [200, 9_999, 10_000, 30_000])
def test_any_number_of_rows_has_every_line_item_type(tmp_path, rows):
    (delivery,) = written(tmp_path, rows=rows)

    assert set(delivery.kinds) == TYPES
    assert delivery.rows == pytest.approx(rows, rel=0.05)


def test_hourly_commitments_add_up_in_a_large_delivery(tmp_path):
    layout = LAYOUTS["v2-parquet"]
    (delivery,) = written(tmp_path, rows=300_000, layout=layout)

    paths = [str(tmp_path / key) for key in delivery.data_keys]
    with duckdb.connect() as con:
        plans = con.execute(
            """
            SELECT savings_plan_savings_plan_a_r_n, savings_plan_used_commitment,
                savings_plan_total_commitment_to_date, line_item_usage_start_date,
                (SELECT sum(CAST(CAST(u.savings_plan_savings_plan_effective_cost AS VARCHAR)
                    AS DECIMAL(38, 12))) FROM read_parquet($paths) AS u
                    WHERE u.line_item_line_item_type = 'SavingsPlanCoveredUsage'
                    AND u.line_item_usage_start_date = fee.line_item_usage_start_date
                    AND u.savings_plan_savings_plan_a_r_n = fee.savings_plan_savings_plan_a_r_n)
            FROM read_parquet($paths) AS fee
            WHERE line_item_line_item_type = 'SavingsPlanRecurringFee'
            """,
            {"paths": paths},
        ).fetchall()

    assert len(plans) == 2 * 31 * 24
    assert all(Decimal(str(used)) == effective for _, used, _, _, effective in plans)
    assert len({(arn, committed) for arn, _, committed, _, _ in plans}) == 2
    unused = 1 - sum(plan[1] for plan in plans) / sum(plan[2] for plan in plans)
    assert 0.02 < unused < 0.10


def test_a_savings_plan_takes_off_what_it_covers(tmp_path):
    (delivery,) = written(tmp_path, rows=10_000)
    by_plan = defaultdict(list)
    for line in read_lines(tmp_path, delivery):
        by_plan[line["savings_plan_savings_plan_a_r_n"]].append(line)
    by_plan.pop("")

    assert len(by_plan) == 2
    for lines in by_plan.values():
        covered = total(lines, "line_item_unblended_cost", "SavingsPlanCoveredUsage")
        assert covered == -total(lines, "line_item_unblended_cost", "SavingsPlanNegation") > 0
        used = total(lines, "savings_plan_savings_plan_effective_cost", "SavingsPlanCoveredUsage")
        committed = total(lines, "savings_plan_total_commitment_to_date", "SavingsPlanRecurringFee")
        assert used == total(lines, "savings_plan_used_commitment", "SavingsPlanRecurringFee")
        assert Decimal("0.85") < used / committed < 1


def test_a_reservation_is_used_or_unused_but_never_lost(tmp_path):
    (delivery,) = written(tmp_path, rows=10_000)
    by_reservation = defaultdict(list)
    for line in read_lines(tmp_path, delivery):
        by_reservation[line["reservation_reservation_a_r_n"]].append(line)
    by_reservation.pop("")

    assert len(by_reservation) == 3
    for lines in by_reservation.values():
        used = total(lines, "reservation_effective_cost", "DiscountedUsage")
        unused = sum(amortised(x) for x in lines if x["line_item_line_item_type"] == "RIFee")
        prepaid = total(lines, "reservation_amortized_upfront_fee_for_billing_period", "RIFee")
        assert used + unused == prepaid + total(lines, "line_item_unblended_cost", "RIFee")
        assert used > 0 <= unused
        hours = total(lines, "line_item_usage_amount", "DiscountedUsage")
        free = total(lines, "reservation_unused_quantity", "RIFee")
        assert hours + free == total(lines, "reservation_total_reserved_units", "RIFee")


def test_commitments_are_bought_in_the_first_month_and_every_twelve_after(tmp_path):
    year = [JANUARY.shift(months) for months in range(14)]

    some = [year[0], year[1], year[11], year[12], year[13]]
    bought = [
        delivery.period
        for delivery in written(tmp_path, periods=year, rows=200, only=some)
        if "SavingsPlanUpfrontFee" in delivery.kinds
    ]

    assert bought == [year[0], year[12]]


def test_only_the_newest_month_has_no_invoice_yet(tmp_path):
    def invoiced(delivery):
        return {bool(line["bill_invoice_id"]) for line in read_lines(tmp_path, delivery)}

    assert [invoiced(d) for d in written(tmp_path, periods=PERIODS)] == [{True}, {True}, {False}]
    assert [invoiced(d) for d in written(tmp_path, final=True)] == [{True}]


def test_marketplace_charges_come_from_another_seller(tmp_path):
    (delivery,) = written(tmp_path, rows=5000, final=True)
    sellers = defaultdict(set)
    for line in read_lines(tmp_path, delivery):
        sellers[line["bill_billing_entity"]].add(
            (line["line_item_legal_entity"], line["bill_invoice_id"])
        )

    assert {name for name, _ in sellers["AWS Marketplace"]} == {"Example Software LLC"}
    assert {name for name, _ in sellers["AWS"]} == {"Amazon Web Services, Inc."}
    assert not sellers["AWS"] & sellers["AWS Marketplace"]


def test_a_refresh_changes_rows_and_costs_and_nothing_else_does(tmp_path):
    first = written(tmp_path / "one", periods=PERIODS, rows=4000)[1]
    (again,) = written(tmp_path / "two", periods=PERIODS, rows=4000, only=[FEBRUARY])
    (later,) = written(tmp_path / "two", periods=PERIODS, rows=4000, only=[FEBRUARY], refresh=2)

    assert again == first
    assert later.delivery_id > first.delivery_id
    assert later.rows != first.rows == pytest.approx(later.rows, rel=0.05)
    assert later.totals["billed"] != first.totals["billed"]

    def costs(folder, delivery):
        return {
            (
                x["line_item_resource_id"],
                x["line_item_usage_start_date"],
                x["line_item_usage_amount"],
            ): x["line_item_unblended_cost"]
            for x in read_lines(tmp_path / folder, delivery)
            if x["line_item_line_item_type"] == "Usage"
        }

    before, after = costs("one", first), costs("two", later)
    gone, come = before.keys() - after.keys(), after.keys() - before.keys()
    rated_anew = [key for key in before.keys() & after.keys() if before[key] != after[key]]
    assert 0 < len(gone) * 1.5 < len(come) < len(before) / 20
    assert len(before) / 50 < len(rated_anew) < len(before) / 10


def test_an_overwriting_refresh_leaves_files_it_no_longer_lists(tmp_path):
    layout = SampleLayout(versioning="overwrite", files=3)
    (first,) = written(tmp_path, layout=layout)
    (later,) = written(tmp_path, layout=SampleLayout(versioning="overwrite", files=2), refresh=2)

    assert first.manifest_keys[0] == later.manifest_keys[0]
    assert later.data_keys == first.data_keys[:2]
    assert (tmp_path / first.data_keys[2]).exists()
    assert first.delivery_id != later.delivery_id
    manifest = json.loads((tmp_path / later.manifest_keys[0]).read_text())
    assert manifest["assemblyId"] == later.delivery_id
    assert manifest["reportKeys"] == list(later.data_keys)


def test_columns_come_and_go_with_the_months(tmp_path):
    headers, filled = [], []
    for delivery in written(tmp_path, periods=PERIODS, rows=3_000):
        lines = read_lines(tmp_path, delivery)
        headers.append(set(lines[0]))
        filled.append({name for line in lines for name, cell in line.items() if cell})

    january, february, march = headers
    assert "resource_tags_user_project" not in january
    assert "resource_tags_user_project" in february & march
    assert "product_queue_type" in february - january - march
    assert "product_directory_type" in (january & march) - february
    for header, used in zip(headers, filled, strict=True):
        absent = {name for name in header - used if name.startswith(("product_", "resource_tags_"))}
        assert not absent
        assert 60 < len(header) < 200


def test_cells_hold_what_breaks_careless_readers(tmp_path):
    (delivery,) = written(tmp_path, rows=3000)
    lines = read_lines(tmp_path, delivery)

    names = "".join(line["resource_tags_user_name"] for line in lines)
    assert all(character in names for character in ',"\nüデ')
    costs = [line["line_item_unblended_cost"] for line in lines]
    assert not any("e" in cost.lower() for cost in costs)
    assert any(0 < Decimal(cost) < Decimal("0.0000001") for cost in costs)
    assert all(len(Decimal(cost).normalize().as_tuple().digits) <= 15 for cost in costs)
    assert {line["line_item_usage_account_id"][0] for line in lines} > {"0"}
    hours = {line["line_item_usage_start_date"] for line in lines}
    assert len(hours) > 600
    assert all("2024-01-01T00:00:00Z" <= hour < "2024-02-01T00:00:00Z" for hour in hours)


def test_a_practitioner_finds_services_accounts_and_instances(tmp_path):
    (delivery,) = written(tmp_path, rows=5_000, layout=LAYOUTS["v2-parquet"])
    usage = [
        line
        for line in read_lines(tmp_path, delivery)
        if line["line_item_line_item_type"] == "Usage"
    ]

    assert len({line["line_item_product_code"] for line in usage}) >= 15
    assert len({line["line_item_usage_account_name"] for line in usage}) == 6
    servers = [x for x in usage if x["line_item_usage_type"] == "EU-BoxUsage:m5.large"]
    assert servers
    for line in servers:
        assert line["product_instance_type"] == "m5.large"
        assert (
            line["product_region_code"] == line["line_item_availability_zone"][:-1] == "eu-west-1"
        )
        assert line["line_item_resource_id"].startswith("i-0")
        assert line["product"]["operating_system"] == "Linux"
        assert "instance_type" not in line["product"]
        assert money(line, "line_item_normalization_factor") == 4
    assert {
        line["resource_tags"]["user_environment"]
        for line in servers
        if "user_environment" in line["resource_tags"]
    } <= {"prod", "staging", "dev"}
    assert all(line["cost_category"]["team"] for line in servers)


def test_v1_create_new_keeps_a_folder_per_delivery(sampled):
    folder, delivery, _ = sampled(SampleLayout())
    base = "cur-reports/monthly-cur/20240101-20240201"

    manifest = json.loads((folder / delivery.manifest_keys[0]).read_text())
    assert delivery.manifest_keys[0] == f"{base}/monthly-cur-Manifest.json"
    assert len(delivery.delivery_id) == len("20240201T100341Z")
    assert delivery.data_keys[1] == f"{base}/{delivery.delivery_id}/monthly-cur-00002.csv.gz"
    copy = folder / base / delivery.delivery_id / "monthly-cur-Manifest.json"
    assert copy.read_text() == (folder / delivery.manifest_keys[0]).read_text()
    assert manifest["reportKeys"] == list(delivery.data_keys)
    assert manifest["account"] == "012345678910"
    assert manifest["billingPeriod"] == {
        "start": "20240101T000000.000Z",
        "end": "20240201T000000.000Z",
    }
    header = read_csv_text(folder / delivery.data_keys[0]).partition("\n")[0]
    columns = [f"{column['category']}/{column['name']}" for column in manifest["columns"]]
    assert header.split(",") == columns
    (decoy,) = manifest["additionalArtifactKeys"]
    assert (folder / decoy["name"]).name == "monthly-cur-RedshiftManifest.json"
    assert (folder / "cur-reports/aws-programmatic-access-test-object").exists()


@every_layout
def test_a_manifest_lists_the_columns_of_its_files_in_order(sampled, layout):
    folder, delivery, lines = sampled(layout)

    manifest = json.loads((folder / delivery.manifest_keys[0]).read_text())
    named = [
        aws_column_name(f"{c['category']}/{c['name']}" if "category" in c else c["name"])
        for c in manifest["columns"]
    ]
    assert all(list(line) == named for line in lines)


def test_v1_parquet_lies_under_the_name_twice_and_keeps_empty_text(sampled):
    folder, delivery, _ = sampled(LAYOUTS["v1-parquet"])
    base = "cur-reports/monthly-cur"

    assert delivery.data_keys[0] == (
        f"{base}/monthly-cur/year=2024/month=1/monthly-cur-00001.snappy.parquet"
    )
    assert delivery.manifest_keys[0] == f"{base}/20240101-20240201/monthly-cur-Manifest.json"
    assert (folder / base / "20240101-20240201/monthly-cur-create-table.sql").exists()
    path, status = (
        str(folder / name)
        for name in (
            delivery.data_keys[0],
            f"{base}/cost_and_usage_data_status/status.parquet",
        )
    )
    with duckdb.connect() as con:
        types = dict(
            con.execute(
                "SELECT name, coalesce(converted_type, type) FROM parquet_schema(?)", [path]
            ).fetchall()
        )
        taxes = con.execute("SELECT DISTINCT line_item_tax_type FROM read_parquet(?)", [path])
        assert ("",) in (found := taxes.fetchall())
        assert (None,) not in found
        assert con.execute("FROM read_parquet(?)", [status]).fetchall() == [("READY",)]
    assert types["line_item_unblended_cost"] == types["line_item_usage_amount"] == "DOUBLE"
    assert types["line_item_unblended_rate"] == "UTF8"
    assert types["reservation_total_reserved_units"] == "UTF8"
    assert types["bill_billing_period_start_date"] == "TIMESTAMP_MILLIS"


def test_v2_names_files_by_url_and_keeps_maps(tmp_path):
    (delivery,) = written(tmp_path, layout=SampleLayout(cur_version="v2", bucket="original"))

    manifest = json.loads((tmp_path / delivery.manifest_keys[0]).read_text())
    assert manifest["executionId"] == delivery.delivery_id
    assert manifest["dataFiles"] == [f"s3://original/{key}" for key in delivery.data_keys]
    types = {column["name"]: column["type"] for column in manifest["columns"]}
    assert types["resource_tags"] == "map"
    assert types["line_item_unblended_cost"] == "double"
    folder = delivery.data_keys[0].split("/")[-2]
    assert folder.endswith(f".000Z-{delivery.delivery_id}")
    metadata = tmp_path / "cur-reports/monthly-cur/metadata/BILLING_PERIOD=2024-01"
    assert (metadata / folder / "monthly-cur-Manifest.json").exists()
    tagged = [json.loads(x["resource_tags"] or "{}") for x in read_lines(tmp_path, delivery)]
    assert any(tags.get("user_cost_center", "").startswith("CC-1") for tags in tagged)


def test_settings_of_the_account_reach_the_lines(tmp_path):
    layout = SampleLayout(prefix="", currency="CNY", payer_account="000000000042")
    (delivery,) = written(tmp_path, layout=layout)

    assert delivery.manifest_keys[0].startswith("monthly-cur/20240101")
    assert set(delivery.totals["billed"]) == {"CNY"}
    lines = read_lines(tmp_path, delivery)
    assert {line["line_item_currency_code"] for line in lines} == {"CNY"}
    assert {line["bill_payer_account_id"] for line in lines} == {"000000000042"}


@pytest.mark.parametrize(
    "wrong",
    [{"cur_version": "v3"}, {"compression": "bzip2"}, {"export_format": "orc"}, {"files": 0}],
)
def test_a_layout_that_aws_does_not_offer_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SampleLayout(**wrong)


@pytest.mark.parametrize(
    ("original", "spelled"),
    [
        ("identity/LineItemId", "identity_line_item_id"),
        ("reservation/ReservationARN", "reservation_reservation_a_r_n"),
        ("product/maxIopsvolume", "product_max_iopsvolume"),
        ("product/caseSeverityresponseTimes", "product_case_severityresponse_times"),
        ("resourceTags/user:CostCenter", "resource_tags_user_cost_center"),
        ("resourceTags/aws:createdBy", "resource_tags_aws_created_by"),
        ("costCategory/Cost Centre", "cost_category_cost_centre"),
        ("line_item_unblended_cost", "line_item_unblended_cost"),
    ],
)
def test_names_are_spelled_as_aws_spells_them_in_parquet(original, spelled):
    assert aws_column_name(original) == spelled
