"""A delivered month is replaced as a whole, and an unchanged one is left alone."""

import json
import subprocess
import sys

import pytest

from finops.vendors.aws.sample import SampleLayout, write_sample
from tests.driver import PERIODS, expected, over_folder

STRATEGIES = ["separate", "single"]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("versioning", ["create_new", "overwrite"])
def test_redelivered_months_hold_exactly_the_new_delivery(tmp_path, seed, versioning, strategy):
    layout = SampleLayout(versioning=versioning, files=3)
    bucket = tmp_path / "bucket"
    first = write_sample(bucket, periods=PERIODS[:2], rows=300, seed=seed, layout=layout)
    finops = over_folder(tmp_path / "data", bucket, "--table-strategy", strategy)
    finops.aws("import-cur")
    assert finops.loaded() == expected(first)

    fewer = SampleLayout(versioning=versioning, files=1)
    second = write_sample(bucket, periods=PERIODS[:2], rows=250, seed=seed, layout=fewer, refresh=2)
    answer = finops.aws("import-cur")

    assert set(answer.outcomes.values()) == {"loaded"}
    assert finops.loaded() == expected(second) != expected(first)
    assert finops.query("SELECT count(*) FROM finops.loads WHERE NOT is_current") == [(2,)]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_month_delivered_without_files_is_empty(tmp_path, seed, strategy):
    bucket = tmp_path / "bucket"
    deliveries = write_sample(bucket, periods=PERIODS, rows=200, seed=seed)
    finops = over_folder(tmp_path / "data", bucket, "--table-strategy", strategy)
    finops.aws("import-cur")

    manifest = bucket / deliveries[0].manifest_keys[0]
    document = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(document | {"assemblyId": "later", "reportKeys": []}))
    answer = finops.aws("import-cur")

    assert answer.outcomes["2024-01"] == "loaded"
    assert finops.loaded() == expected(deliveries[1:])


def test_the_very_first_delivery_may_be_empty(tmp_path, seed):
    bucket = tmp_path / "bucket"
    (delivery,) = write_sample(bucket, periods=PERIODS[:1], rows=200, seed=seed)
    manifest = bucket / delivery.manifest_keys[0]
    document = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(document | {"reportKeys": []}))
    finops = over_folder(tmp_path / "data", bucket)

    answer = finops.aws("import-cur")

    assert (answer.code, answer.results[0]["rows"]) == (0, 0)
    assert finops.query("SELECT count(*) FROM aws_billing.billing") == [(0,)]


def test_unchanged_bucket_loads_and_copies_nothing(tmp_path, seed):
    write_sample(tmp_path / "bucket", periods=PERIODS, rows=200, seed=seed)
    finops = over_folder(tmp_path / "data", tmp_path / "bucket")
    first = finops.aws("import-cur")
    before = finops.database.stat()

    again = finops("aws", "import-cur", *finops.flags)

    after = finops.database.stat()
    assert again.code == 0
    assert "Nothing new: all 3 billing periods are loaded as delivered." in again.err
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert finops.aws("import-cur").results == [
        result | {"outcome": "unchanged"} for result in first.results
    ]


def test_force_loads_again_without_downloading_again(imported, tmp_path):
    finops, deliveries = imported(tmp_path)
    staged = {path: path.stat().st_ino for path in finops.data.rglob("*.csv.gz")}

    answer = finops.aws("import-cur", "--force")

    assert set(answer.outcomes.values()) == {"loaded"}
    assert finops.loaded() == expected(deliveries)
    assert {path: path.stat().st_ino for path in finops.data.rglob("*.csv.gz")} == staged


def test_dry_run_shows_what_is_new_and_writes_nothing(tmp_path, seed):
    write_sample(tmp_path / "bucket", periods=PERIODS, rows=200, seed=seed)
    finops = over_folder(tmp_path / "data", tmp_path / "bucket")

    answer = finops.aws("import-cur", "--dry-run")

    assert set(answer.outcomes.values()) == {"discovered"}
    assert not finops.data.exists()


def test_only_the_kept_deliveries_stay_in_staging(tmp_path, seed):
    bucket = tmp_path / "bucket"
    finops = over_folder(tmp_path / "data", bucket)
    for refresh in (1, 2, 3):
        write_sample(bucket, periods=PERIODS[:1], rows=200, seed=seed, refresh=refresh)
        finops.aws("import-cur")

    kept = list((finops.data / "staging/aws/default/2024-01").iterdir())

    assert len(kept) == 2


def test_readers_keep_the_old_store_while_a_new_one_is_published(imported, tmp_path, seed):
    bucket = tmp_path / "bucket"
    finops, first = imported(tmp_path)
    (tmp_path / "old").hardlink_to(finops.database)
    content = (tmp_path / "old").read_bytes()

    program = [sys.executable, "-c", _PATIENT_READER, str(finops.database)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        reader.stdout.readline()
        write_sample(bucket, periods=PERIODS, rows=260, seed=seed, refresh=2)
        assert finops.aws("import-cur").code == 0
        counted, _ = reader.communicate(b"count\n")

    assert (tmp_path / "old").read_bytes() == content
    rows = int(counted)
    assert rows == sum(each.rows for each in first)
    assert sum(count for count, _ in finops.loaded().values()) != rows


_PATIENT_READER = """
import duckdb, sys
db = duckdb.connect(sys.argv[1], read_only=True)
print("open", flush=True)
sys.stdin.readline()
print(db.execute("SELECT count(*) FROM aws_billing.billing").fetchall()[0][0])
"""


@pytest.mark.parametrize(("before", "after"), [STRATEGIES, STRATEGIES[::-1]])
def test_switching_the_strategy_moves_the_tables(tmp_path, seed, before, after):
    deliveries = write_sample(tmp_path / "bucket", periods=PERIODS, rows=200, seed=seed)
    finops = over_folder(tmp_path / "data", tmp_path / "bucket")
    finops.aws("import-cur", "--table-strategy", before)
    rows_before = finops.query("SELECT * FROM aws_billing.billing ORDER BY ALL")

    answer = finops.aws("import-cur", "--table-strategy", after)

    tables = {name for (name,) in finops.query(_TABLES)}
    separate = {"billing_2024_01", "billing_2024_02", "billing_2024_03"}
    assert tables == (separate if after == "separate" else {"billing_data"})
    assert answer.document["notices"] == [f"aws_billing: tables are now '{after}'"]
    assert finops.loaded() == expected(deliveries)
    assert finops.query("SELECT * FROM aws_billing.billing ORDER BY ALL") == rows_before


_TABLES = "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'aws_billing'"


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_month_that_would_lose_most_of_its_rows_is_kept(tmp_path, seed, strategy):
    bucket = tmp_path / "bucket"
    before = write_sample(bucket, periods=PERIODS[:1], rows=2_500, seed=seed)
    finops = over_folder(tmp_path / "data", bucket, "--table-strategy", strategy)
    finops.aws("import-cur")
    after = write_sample(bucket, periods=PERIODS[:1], rows=900, seed=seed, refresh=2)

    refused = finops.aws("import-cur")
    kept = finops.loaded()
    allowed = finops.aws("import-cur", "--allow-shrink")

    assert (refused.code, refused.results[0]["error"]["code"]) == (4, "shrunk")
    assert f"from {before[0].rows:,} to {after[0].rows:,} rows" in refused.err
    assert kept == expected(before)
    assert allowed.code == 0
    assert finops.loaded() == expected(after)


def test_small_months_may_shrink(tmp_path, seed):
    bucket = tmp_path / "bucket"
    write_sample(bucket, periods=PERIODS[:1], rows=900, seed=seed)
    finops = over_folder(tmp_path / "data", bucket)
    finops.aws("import-cur")
    after = write_sample(bucket, periods=PERIODS[:1], rows=200, seed=seed, refresh=2)

    assert finops.aws("import-cur").code == 0

    assert finops.loaded() == expected(after)


def test_the_gravest_error_stands_for_all(tmp_path, seed):
    bucket = tmp_path / "bucket"
    deliveries = write_sample(bucket, periods=PERIODS[:2], rows=1_200, seed=seed)
    finops = over_folder(tmp_path / "data", bucket)
    finops.aws("import-cur")
    smaller = write_sample(bucket, periods=PERIODS[:2], rows=300, seed=seed, refresh=2)
    (bucket / smaller[0].manifest_keys[0]).write_text("{")

    answer = finops.aws("import-cur")

    codes = {result["period"]: result["error"]["exit_code"] for result in answer.results}
    assert codes == {"2024-02": 4, "2024-01": 65}
    assert answer.code == 65
    assert finops.loaded() == expected(deliveries)
