"""Columns come and go and change their type; the table is the same in whatever order they came."""

import gzip
import itertools
import json

import duckdb
import pytest

from tests.driver import over_folder

# Each month: the manifest's columns with their types, and one row of cells.
MONTHS = {
    "2024-01": {
        "lineItem/UnblendedCost": ("OptionalBigDecimal", "0.1"),
        "lineItem/UsageAmount": ("OptionalBigDecimal", "1"),
        "product/late": ("OptionalString", "x"),
        "resourceTags/user:Team": ("OptionalString", "ops"),
        "new/Number": ("OptionalBigDecimal", "7.5"),
    },
    "2024-02": {
        "resourceTags/user:Zone": ("OptionalString", "eu"),
        "lineItem/UsageAmount": ("OptionalBigDecimal", "2"),
        "lineItem/UnblendedCost": ("OptionalBigDecimal", "0.20"),
        "new/Number": ("OptionalString", "seven"),
        "new/Moment": ("DateTime", "2024-02-03T04:05:06Z"),
    },
    "2024-03": {
        "lineItem/UnblendedCost": ("OptionalBigDecimal", "0.3"),
        "lineItem/CurrencyCode": ("OptionalString", "USD"),
        "new/Moment": ("OptionalString", "noon"),
    },
}


def _folder(period):
    year, month = map(int, period.split("-"))
    end = f"{year + month // 12}{month % 12 + 1:02}01"
    return f"cur-reports/monthly-cur/{year}{month:02}01-{end}"


def _deliver_csv(bucket, period, columns):
    folder = bucket / _folder(period)
    folder.mkdir(parents=True)
    body = f"{','.join(columns)}\n{','.join(cell for _, cell in columns.values())}\n"
    (folder / "monthly-cur-1.csv.gz").write_bytes(gzip.compress(body.encode(), mtime=0))
    listed = [
        {"category": name.split("/")[0], "name": name.split("/")[1], "type": kind}
        for name, (kind, _) in columns.items()
    ]
    key = f"cur-reports/monthly-cur/{folder.name}/monthly-cur-1.csv.gz"
    manifest = {"assemblyId": period, "columns": listed, "reportKeys": [key]}
    (folder / "monthly-cur-Manifest.json").write_text(json.dumps(manifest))


def _table(finops):
    columns = finops.query(
        "SELECT column_name, data_type FROM duckdb_columns()"
        " WHERE schema_name = 'aws_billing' AND table_name = 'billing' ORDER BY column_index"
    )
    rows = finops.query(
        "SELECT * EXCLUDE (_finops_load_id) FROM aws_billing.billing ORDER BY billing_period"
    )
    return columns, rows


@pytest.mark.parametrize("strategy", ["separate", "single"])
def test_any_order_of_months_gives_the_same_table(tmp_path, strategy):
    tables = []
    for number, order in enumerate(itertools.permutations(MONTHS)):
        bucket = tmp_path / f"bucket{number}"
        finops = over_folder(tmp_path / f"data{number}", bucket, "--table-strategy", strategy)
        for period in (*order, order[0]):
            if not list(bucket.glob(f"*/*/{period.replace('-', '')}01-*")):
                _deliver_csv(bucket, period, MONTHS[period])
            only = ("--start-date", period, "--end-date", period, "--force")
            assert finops.aws("import-cur", *only).code == 0
        tables.append(_table(finops))

    columns, rows = tables[0]
    assert all(table == tables[0] for table in tables)
    types = dict(columns)
    assert types["lineitem_unblendedcost"] == "DECIMAL(38,24)"
    assert types["new_number"] == types["new_moment"] == "VARCHAR"
    assert [name for name, _ in columns] == [
        "billing_period",
        "lineitem_usageamount",
        "lineitem_currencycode",
        "lineitem_unblendedcost",
        "new_moment",
        "new_number",
        "product_late",
        "resourcetags_user_team",
        "resourcetags_user_zone",
        "_finops_load_id",
    ]
    as_text = [[None if cell is None else str(cell) for cell in row] for row in rows]
    zeros = "0" * 22
    assert as_text[0][:1] + as_text[0][3:] == [
        "2024-01",
        f"0.1{zeros}0",
        None,
        "7.5",
        "x",
        "ops",
        None,
    ]
    assert as_text[1][4:6] == ["2024-02-03 04:05:06", "seven"]


def test_quantities_from_parquet_and_then_csv_become_decimal_everywhere(tmp_path):
    bucket = tmp_path / "bucket"
    finops = over_folder(tmp_path / "data", bucket)
    _deliver_parquet(bucket, "2024-01")
    assert finops.aws("import-cur").code == 0
    before = dict(_table(finops)[0])["lineitem_usageamount"]

    _deliver_csv(bucket, "2024-02", MONTHS["2024-02"])
    assert finops.aws("import-cur").code == 0

    after = dict(_table(finops)[0])["lineitem_usageamount"]
    assert (before, after) == ("DOUBLE", "DECIMAL(38,24)")
    amounts = finops.query(
        "SELECT rtrim(lineitem_usageamount::VARCHAR, '0') FROM aws_billing.billing ORDER BY 1"
    )
    assert amounts == [("0.1",), ("2.",)]


def test_parquet_and_csv_of_one_account_share_their_columns(tmp_path):
    bucket = tmp_path / "bucket"
    finops = over_folder(tmp_path / "data", bucket)
    _deliver_csv(bucket, "2024-02", MONTHS["2024-02"] | {"product/maxIopsvolume": ("", "9")})
    assert finops.aws("import-cur").code == 0

    _deliver_parquet(bucket, "2024-01")
    answer = finops.aws("import-cur")

    rows = finops.query(
        "SELECT product_maxiopsvolume, resourcetags_user_zone FROM aws_billing.billing"
        " ORDER BY billing_period"
    )
    assert rows == [("7", "us"), ("9", "eu")]
    notice = "aws/default 2024-01: kept AWS's spelling of resource_tags_user_unknown_one"
    assert notice in answer.document["notices"]


def _deliver_parquet(bucket, period, amount="0.1"):
    """Write a CUR v1 Parquet delivery in AWS's spelling, with a manifest without columns."""
    year, month = period.split("-")
    folder = bucket / _folder(period)
    data = bucket / f"cur-reports/monthly-cur/monthly-cur/year={year}/month={int(month)}"
    for each in (folder, data):
        each.mkdir(parents=True)
    name = "monthly-cur-00001.snappy.parquet"
    duckdb.execute(
        f"COPY (SELECT {amount}::DOUBLE AS line_item_usage_amount, 0.1::DOUBLE AS"
        " line_item_unblended_cost, '7' AS product_max_iopsvolume, 'us' AS"
        " resource_tags_user_zone, '' AS resource_tags_user_unknown_one)"
        f" TO '{data / name}' (FORMAT parquet)"
    ).fetchall()
    key = (data / name).relative_to(bucket).as_posix()
    manifest = {"assemblyId": period, "compression": "Parquet", "reportKeys": [key]}
    (folder / "monthly-cur-Manifest.json").write_text(json.dumps(manifest))


def test_colliding_tags_keep_the_names_that_they_were_given(tmp_path):
    bucket = tmp_path / "bucket"
    finops = over_folder(tmp_path / "data", bucket)
    lower, upper = "resourceTags/user:name", "resourceTags/user:Name"
    cost = {"lineItem/UnblendedCost": ("", "1")}
    _deliver_csv(bucket, "2024-01", cost | {lower: ("", "first")})
    finops.aws("import-cur")
    _deliver_csv(bucket, "2024-02", cost | {upper: ("", "second"), lower: ("", "third")})
    finops.aws("import-cur")

    names = dict(
        finops.query("SELECT original, name FROM finops.column_registry WHERE original LIKE '%ame'")
    )

    assert names[lower] == "resourcetags_user_name"
    assert names[upper].startswith("resourcetags_user_name_")
    rows = finops.query(
        f"SELECT {names[lower]}, {names[upper]} FROM aws_billing.billing ORDER BY billing_period"
    )
    assert rows == [("first", None), ("third", "second")]


def test_columns_named_like_ours_are_renamed(tmp_path):
    bucket = tmp_path / "bucket"
    finops = over_folder(tmp_path / "data", bucket)
    _deliver_csv(
        bucket,
        "2024-01",
        {"lineItem/UnblendedCost": ("", "1"), "billing/period": ("", "theirs")},
    )

    assert finops.aws("import-cur").code == 0

    (name,) = finops.query(
        "SELECT name FROM finops.column_registry WHERE original = 'billing/period'"
    )[0]
    assert name != "billing_period"
    rows = finops.query(f"SELECT billing_period, {name} FROM aws_billing.billing")
    assert rows == [("2024-01", "theirs")]


def test_an_export_that_changes_its_version_needs_another_dataset(tmp_path, seed):
    from finops.vendors.aws.sample import SampleLayout, write_sample
    from tests.driver import PERIODS

    finops = over_folder(tmp_path / "data", tmp_path / "v1")
    write_sample(tmp_path / "v1", periods=PERIODS[:1], rows=200, seed=seed)
    finops.aws("import-cur")
    before = finops.loaded()
    layout = SampleLayout(cur_version="v2")
    write_sample(tmp_path / "v2", periods=PERIODS[1:2], rows=200, seed=seed, layout=layout)

    answer = over_folder(finops.data, tmp_path / "v2").aws("import-cur")

    (result,) = answer.results
    assert (answer.code, result["error"]["code"]) == (78, "other-shape")
    assert "shape v1" in result["error"]["what"]
    assert finops.loaded() == before


def test_values_that_the_wider_type_cannot_hold_keep_the_new_month_out(tmp_path):
    bucket = tmp_path / "bucket"
    finops = over_folder(tmp_path / "data", bucket)
    _deliver_parquet(bucket, "2024-01", amount="1e15")
    assert finops.aws("import-cur").code == 0
    before = _table(finops)

    _deliver_csv(bucket, "2024-02", MONTHS["2024-02"])
    answer = finops.aws("import-cur")

    assert (answer.code, answer.results[0]["error"]["code"]) == (3, "other-type")
    assert _table(finops) == before
