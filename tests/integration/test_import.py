"""The whole pipeline, for every form of export, gives the generator's rows and money."""

import itertools

import pytest

from finops.vendors.aws.sample import SampleLayout, write_sample
from tests.driver import PERIODS, Finops, expected, over_folder, upload

FORMS = [
    ("v1", "csv", "gzip"),
    ("v1", "csv", "zip"),
    ("v1", "csv", "none"),
    ("v1", "parquet", "gzip"),
    ("v2", "csv", "gzip"),
    ("v2", "parquet", "gzip"),
]
COST = {"v1": "lineitem_unblendedcost", "v2": "line_item_unblended_cost"}


@pytest.mark.parametrize("strategy", ["separate", "single"])
@pytest.mark.parametrize("versioning", ["create_new", "overwrite"])
@pytest.mark.parametrize("form", FORMS, ids="-".join)
def test_folder_bucket_loads_to_the_last_digit(tmp_path, seed, form, versioning, strategy):
    version, file_format, compression = form
    layout = SampleLayout(
        cur_version=version,
        export_format=file_format,
        compression=compression,
        versioning=versioning,
    )
    deliveries = write_sample(
        tmp_path / "bucket", periods=PERIODS, rows=300, seed=seed, layout=layout
    )
    finops = over_folder(tmp_path / "data", tmp_path / "bucket", "--table-strategy", strategy)

    answer = finops.aws("import-cur")

    assert (answer.code, answer.err) == (0, "")
    assert list(answer.outcomes) == ["2024-03", "2024-02", "2024-01"]
    assert set(answer.outcomes.values()) == {"loaded"}
    assert finops.loaded(cost=COST[version]) == expected(deliveries)


@pytest.mark.parametrize("form", FORMS, ids="-".join)
def test_s3_bucket_loads_to_the_last_digit(tmp_path, seed, bucket, s3_endpoint, form):
    version, file_format, compression = form
    layout = SampleLayout(
        cur_version=version, export_format=file_format, compression=compression, files=3
    )
    deliveries = write_sample(
        tmp_path / "tree", periods=PERIODS, rows=300, seed=seed, layout=layout
    )
    upload(tmp_path / "tree", bucket)
    place = ("--prefix", "cur-reports", "--export-name", "monthly-cur")
    finops = Finops(tmp_path / "data", "--bucket", bucket.name, "--endpoint", s3_endpoint, *place)

    first = finops.aws("import-cur")
    again = finops.aws("import-cur")

    assert first.code == 0
    assert finops.loaded(cost=COST[version]) == expected(deliveries)
    assert set(again.outcomes.values()) == {"unchanged"}


def test_every_form_of_one_bill_gives_the_same_rows(tmp_path, seed):
    found = {}
    for version, file_format in itertools.product(("v1", "v2"), ("csv", "parquet")):
        name = f"{version}-{file_format}"
        layout = SampleLayout(cur_version=version, export_format=file_format)
        write_sample(tmp_path / name, periods=PERIODS[:1], rows=400, seed=seed, layout=layout)
        finops = over_folder(tmp_path / f"{name}-data", tmp_path / name)
        assert finops.aws("import-cur").code == 0
        found[name] = finops.query(_COMPARED[version])

    assert found["v1-csv"] == found["v1-parquet"] == found["v2-csv"] == found["v2-parquet"]
    assert len(found["v1-csv"]) > 300


_COMPARED = {
    "v1": """
        SELECT identity_lineitemid, lineitem_lineitemtype, lineitem_usagestartdate,
            lineitem_productcode, lineitem_resourceid, lineitem_unblendedcost,
            savingsplan_savingsplaneffectivecost, reservation_effectivecost,
            CAST(lineitem_usageamount AS DECIMAL(38, 10)), resourcetags_user_team
        FROM aws_billing.billing ORDER BY ALL""",
    "v2": """
        SELECT identity_line_item_id, line_item_line_item_type, line_item_usage_start_date,
            line_item_product_code, line_item_resource_id, line_item_unblended_cost,
            savings_plan_savings_plan_effective_cost, reservation_effective_cost,
            CAST(line_item_usage_amount AS DECIMAL(38, 10)), resource_tags['user_team']
        FROM aws_billing.billing ORDER BY ALL""",
}


def test_maps_arrive_as_maps_from_csv_and_parquet(tmp_path, seed):
    found = {}
    for file_format in ("csv", "parquet"):
        layout = SampleLayout(cur_version="v2", export_format=file_format)
        bucket = tmp_path / file_format
        write_sample(bucket, periods=PERIODS[:1], rows=300, seed=seed, layout=layout)
        finops = over_folder(tmp_path / f"{file_format}-data", bucket)
        finops.aws("import-cur")
        types = finops.query(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'billing'"
            " AND data_type LIKE 'MAP%' ORDER BY 1"
        )
        rows = finops.query(
            "SELECT identity_line_item_id, product, resource_tags, cost_category, discount"
            " FROM aws_billing.billing ORDER BY ALL"
        )
        found[file_format] = (types, rows)

    assert found["csv"] == found["parquet"]
    types, rows = found["csv"]
    assert ("discount", "MAP(VARCHAR, DECIMAL(38,24))") in types
    assert any(row[2] for row in rows)


def test_every_row_says_its_period_and_load(tmp_path, seed):
    write_sample(tmp_path / "bucket", periods=PERIODS, rows=200, seed=seed)
    finops = over_folder(tmp_path / "data", tmp_path / "bucket")

    finops.aws("import-cur")

    rows = finops.query(
        "SELECT DISTINCT billing.billing_period = loads.billing_period"
        " FROM aws_billing.billing LEFT JOIN finops.loads ON load_id = _finops_load_id"
    )
    assert rows == [(True,)]


def test_ledger_total_is_the_sum_of_the_rows(tmp_path, seed):
    deliveries = write_sample(tmp_path / "bucket", periods=PERIODS, rows=200, seed=seed)
    finops = over_folder(tmp_path / "data", tmp_path / "bucket")

    finops.aws("import-cur")

    rows = finops.query(
        "SELECT billing_period, row_count, totals FROM finops.loads WHERE is_current ORDER BY 1"
    )
    assert rows == [(str(each.period), each.rows, each.totals["billed"]) for each in deliveries]


def test_date_filters_include_both_months(tmp_path, seed):
    write_sample(tmp_path / "bucket", periods=PERIODS, rows=200, seed=seed)
    finops = over_folder(tmp_path / "data", tmp_path / "bucket")

    answer = finops.aws("import-cur", "--start-date", "2024-02", "--end-date", "2024-03")

    assert list(answer.outcomes) == ["2024-03", "2024-02"]


def test_two_exports_under_one_prefix_do_not_mix(tmp_path, seed):
    first = SampleLayout(export_name="rep")
    second = SampleLayout(export_name="rep-hourly")
    deliveries = write_sample(
        tmp_path / "bucket", periods=PERIODS, rows=200, seed=seed, layout=first
    )
    write_sample(tmp_path / "bucket", periods=PERIODS, rows=250, seed=seed + 1, layout=second)
    flags = ("--bucket", str(tmp_path / "bucket"), "--prefix", "cur-reports")
    finops = Finops(tmp_path / "data", *flags)

    answer = finops.aws("import-cur", "--export-name", "rep")

    assert answer.code == 0
    assert finops.loaded() == expected(deliveries)


def test_real_bill_loads_to_the_last_digit(tmp_path, samples_dir):
    place = ("--prefix", "cur", "--export-name", "WorkshopCUR")
    finops = Finops(tmp_path / "data", "--bucket", str(samples_dir / "aws-workshop-cur"), *place)

    answer = finops.aws("import-cur")

    assert answer.code == 0
    (result,) = answer.results
    assert (result["rows"], result["totals"]) == (
        119_307,
        {"USD": "4064.483131537900000000000000"},
    )
    blended = finops.query("SELECT sum(lineitem_blendedcost)::VARCHAR FROM aws_billing.billing")
    assert blended == [("4064.483130079600000000000000",)]
    assert answer.document["notices"] == []
