"""Exported Parquet: what is loaded, once, whole, and told by a manifest."""

import hashlib
import json
import os
import subprocess
import sys
from decimal import Decimal

import duckdb
import pytest

from finops.vendors.aws.sample import write_sample
from tests.driver import PERIODS, expected


@pytest.fixture
def finops(imported, tmp_path):
    finops, deliveries = imported(tmp_path)
    finops.deliveries = deliveries
    return finops


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def export(finops, out, *flags):
    answer = finops.aws("export-parquet", "--out", str(out), *flags)
    assert answer.code == 0, answer.err
    return answer.outcomes


def exported(place):
    """Return rows and billed cost by period, as a reader of the hive layout finds them."""
    rows = duckdb.sql(
        f"SELECT billing_period, count(*), sum(lineitem_unblendedcost)"
        f" FROM read_parquet('{place}/aws_billing/*/*.parquet') GROUP BY 1"
    ).fetchall()
    return {period: (count, total) for period, count, total in rows}


def described(file):
    relation = f"read_parquet('{file}', hive_partitioning = false)"
    return duckdb.sql(f"SELECT column_name, column_type FROM (DESCRIBE FROM {relation})").fetchall()


def month(out, period="2024-01"):
    return out / "aws_billing" / f"billing_period={period}"


def test_a_file_of_each_month_holds_its_rows_and_money(finops, out):
    outcomes = export(finops, out, "--end-date", "2024-02")

    assert outcomes == {"2024-02": "exported", "2024-01": "exported"}
    assert sorted(path.name for path in month(out).iterdir()) == [
        "_data.manifest.json",
        "data.parquet",
    ]
    assert exported(out) == expected(finops.deliveries[:2])


def test_types_and_values_are_those_of_the_store(finops, out):
    export(finops, out)

    zoned = {"TIMESTAMP": "TIMESTAMP WITH TIME ZONE"}
    view = finops.query(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'billing'"
        " AND column_name <> 'billing_period' ORDER BY column_index"
    )
    columns = described(month(out) / "data.parquet")
    assert columns == [
        ("billing_period_start", "DATE"),
        *((name, zoned.get(kind, kind)) for name, kind in view),
    ]
    names = ", ".join(f'"{name}"' for name, _ in view)
    with duckdb.connect(str(finops.database), read_only=True) as db:
        db.execute("SET TimeZone = 'UTC'")
        both = f"SELECT {names} FROM read_parquet('{month(out)}/data.parquet')"
        ours = f"SELECT {names} FROM aws_billing.billing WHERE billing_period = '2024-01'"
        assert db.execute(f"({both}) EXCEPT ALL ({ours})").fetchall() == []
        starts = f"SELECT DISTINCT billing_period_start::VARCHAR FROM '{month(out)}/data.parquet'"
        assert db.execute(starts).fetchall() == [("2024-01-01",)]


def test_rows_that_are_read_together_lie_together(finops, out):
    export(finops, out)

    sorting = "lineitem_usageaccountid, lineitem_productcode, lineitem_usagetype"
    rows = duckdb.sql(f"SELECT {sorting} FROM '{month(out)}/data.parquet'").fetchall()
    assert rows == sorted(rows, key=lambda row: [(cell is None, cell or "") for cell in row])


def test_the_manifest_tells_what_the_file_holds(finops, out):
    export(finops, out)

    manifest = json.loads((month(out) / "_data.manifest.json").read_text())
    content = (month(out) / "data.parquet").read_bytes()
    delivery = finops.deliveries[0]
    assert manifest["sha256"] == hashlib.sha256(content).hexdigest()
    assert (manifest["bytes"], manifest["rows"]) == (len(content), delivery.rows)
    assert {code: Decimal(total) for code, total in manifest["totals"].items()} == dict(
        delivery.totals["billed"]
    )
    assert {
        "name": "lineitem_unblendedcost",
        "type": "DECIMAL(38,24)",
        "original": "lineItem/UnblendedCost",
    } in manifest["columns"]


def test_what_is_unchanged_is_left_alone_and_what_is_not_is_mended(finops, out):
    export(finops, out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")}

    assert set(export(finops, out).values()) == {"unchanged"}
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")}

    (month(out, "2024-02") / "data.parquet").write_bytes(b"cut short")
    (month(out, "2024-03") / "_data.manifest.json").write_text("[]")
    assert export(finops, out) == {
        "2024-03": "exported",
        "2024-02": "exported",
        "2024-01": "unchanged",
    }
    assert set(export(finops, out, "--force").values()) == {"exported"}
    assert exported(out) == expected(finops.deliveries)


def test_a_restated_month_replaces_its_file_alone(imported, tmp_path, out):
    finops, _ = imported(tmp_path)
    export(finops, out)
    fewer = write_sample(tmp_path / "bucket", periods=PERIODS[1:2], rows=120, seed=9, refresh=2)
    finops.aws("import-cur")

    outcomes = export(finops, out)

    assert outcomes == {"2024-03": "unchanged", "2024-02": "exported", "2024-01": "unchanged"}
    assert exported(out)["2024-02"] == expected(fewer)["2024-02"]


def test_a_new_column_is_in_every_file(finops, out):
    export(finops, out)
    with duckdb.connect(str(finops.database)) as db:
        db.execute(
            "INSERT INTO finops.column_registry VALUES ('aws_billing', 'new/One', 'new_one',"
            " 'VARCHAR', NULL, '')"
        )

    assert set(export(finops, out).values()) == {"exported"}
    kinds = {tuple(described(file)) for file in out.rglob("*.parquet")}
    assert len(kinds) == 1
    assert ("new_one", "VARCHAR") in kinds.pop()


def test_a_bucket_takes_the_files_too(finops, bucket, s3_endpoint, tmp_path):
    place = ("--out", f"s3://{bucket.name}/lake/bills", "--endpoint", s3_endpoint)
    first = finops.aws("export-parquet", *place)
    again = finops.aws("export-parquet", *place)

    assert (first.code, again.code) == (0, 0), first.err
    assert set(first.outcomes.values()) == {"exported"}
    assert set(again.outcomes.values()) == {"unchanged"}
    for listed in bucket.client.list_objects_v2(Bucket=bucket.name)["Contents"]:
        file = tmp_path / "copy" / listed["Key"]
        file.parent.mkdir(parents=True, exist_ok=True)
        bucket.client.download_file(bucket.name, listed["Key"], str(file))
    assert exported(tmp_path / "copy/lake/bills") == expected(finops.deliveries)


def test_a_bucket_that_is_not_there_is_said(finops, bucket, s3_endpoint):
    answer = finops.aws(
        "export-parquet", "--out", "s3://no-such-bucket-here", "--endpoint", s3_endpoint
    )

    assert answer.code == 78
    assert "the bucket does not exist" in answer.err
    assert finops.aws("export-parquet", "--out", "ftp://elsewhere/x").code == 78


def test_months_whose_table_was_dropped_are_not_exported_as_empty(finops, out):
    export(finops, out)
    with duckdb.connect(str(finops.database)) as db:
        db.execute("DROP TABLE aws_billing.billing_2024_01")

    answer = finops.aws("export-parquet", "--out", str(out), "--force", "--end-date", "2024-02")

    assert answer.code == 3
    assert answer.outcomes == {"2024-02": "exported", "2024-01": "failed"}
    assert "error[missing-table]" in answer.err
    assert exported(out) == expected(finops.deliveries)


def test_a_killed_export_leaves_old_or_new_files_and_the_next_one_ends_it(imported, tmp_path, out):
    finops, first = imported(tmp_path)
    export(finops, out)
    second = write_sample(tmp_path / "bucket", periods=PERIODS, rows=120, seed=9, refresh=2)
    finops.aws("import-cur")
    command = [sys.executable, "-m", "finops", "--data-dir", str(finops.data), "aws"]
    arguments = [*command, "export-parquet", *finops.flags, "--out", str(out)]
    for point in ("file-written", "file-placed", "file-placed#2"):
        killed = subprocess.run(
            arguments, check=False, env={**os.environ, "FINOPS_FAULT": point}, capture_output=True
        )
        assert killed.returncode == -9, killed.stderr
        for period, found in exported(out).items():
            assert found in (expected(first)[period], expected(second)[period])

    export(finops, out)
    assert exported(out) == expected(second)
    assert not list(out.rglob("*.part"))
