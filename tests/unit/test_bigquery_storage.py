"""Tables of BigQuery as a storage: which rows a month has, and what goes wrong."""

import http.server
import json
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from finops.config import Export
from finops.errors import AccessError, BadDataError, ConfigError
from finops.period import BillingPeriod
from finops.storage import open_storage
from finops.storage.bigquery import BigQueryTable

JULY, AUGUST = BillingPeriod(2026, 7), BillingPeriod(2026, 8)
MONTH = "CONCAT(LEFT(invoice.month, 4), '-', RIGHT(invoice.month, 2))"


def export(bucket="bq://project.billing.table", endpoint="http://127.0.0.1:1", **more):
    return Export("gcp", "default", "gcp", bucket=bucket, endpoint=endpoint, **more)


def table(partitioned=None, columns=("invoice", "export_time")):
    storage = open_storage(export())
    field = {"day": None, "column": "export_time"}
    storage._table = SimpleNamespace(
        schema=[SimpleNamespace(name=name) for name in columns],
        time_partitioning=partitioned and SimpleNamespace(field=field[partitioned]),
    )
    return storage


@contextmanager
def answering(status, reason, message):
    """Run a server that gives one answer to all; yield its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            said = {"code": status, "message": message, "errors": [{"reason": reason}]}
            body = json.dumps({"error": said}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("partitioned", [None, "column"])
def test_months_are_asked_for_by_the_invoice(partitioned):
    within = table(partitioned)._within

    assert within(None, None) == "TRUE"
    assert within(JULY, AUGUST) == f"{MONTH} >= '2026-07' AND {MONTH} <= '2026-08'"


def test_partitions_before_the_first_month_are_not_read():
    since = "_PARTITIONTIME >= TIMESTAMP_SUB('2026-08-01', INTERVAL 2 DAY)"

    assert table("day")._within(AUGUST, None).endswith(f" AND ({since} OR _PARTITIONTIME IS NULL)")
    assert "_PARTITIONTIME" not in table("day")._within(None, AUGUST)


def test_the_focus_table_is_asked_for_by_its_billing_period():
    within = table(columns=("BilledCost",))._within
    assert within(AUGUST, None) == "FORMAT_TIMESTAMP('%Y-%m', BillingPeriodStart) >= '2026-08'"


def test_another_table_is_no_bill():
    with pytest.raises(BadDataError, match="no billing export"):
        table(columns=("name",))._within(AUGUST, None)


@pytest.mark.parametrize(
    "bucket",
    [
        "bq://project",
        "bq://project.data",
        "bq://project.data.ta`ble",
        "bq://pro ject.data.table",
        "bq://project.data.table/x",
        "bq://",
    ],
)
def test_what_names_no_table_is_refused(bucket):
    with pytest.raises(ConfigError, match="names no table"):
        open_storage(export(bucket))


@pytest.mark.parametrize(
    ("bucket", "name", "path"),
    [
        ("bq://my-project.data.table-1", "", "my-project.data.table-1"),
        ("bq://example.com:my-project.data.t", "", "example.com:my-project.data.t"),
        ("bq://my-project.data", "t", "my-project.data.t"),
        ("bq://my-project.data.t", "other", "my-project.data.t"),
    ],
)
def test_a_table_is_named_by_project_dataset_and_table(bucket, name, path):
    storage = open_storage(export(bucket, export_name=name))

    assert isinstance(storage, BigQueryTable)
    assert storage._path == path


@pytest.mark.parametrize("key", ["table/2026.parquet", "../2026-08.parquet/x", "table"])
def test_a_key_that_is_no_month_is_missing(key):
    with pytest.raises(BadDataError) as refused:
        open_storage(export()).head_object(key)

    assert refused.value.code == "missing-object"


def test_nothing_else_is_listed():
    assert list(open_storage(export()).list_objects("other/")) == []


def test_lacking_rights_are_told_with_the_roles_that_are_needed():
    with (
        answering(403, "accessDenied", "Permission denied") as endpoint,
        pytest.raises(AccessError) as refused,
    ):
        list(open_storage(export(endpoint=endpoint)).list_objects(""))

    assert "Permission denied" in refused.value.what
    assert "roles/bigquery.dataViewer" in refused.value.do
    assert "roles/bigquery.jobUser" in refused.value.do
    assert refused.value.where == "bq://project.billing.table"


def test_files_are_no_matter_of_a_table(tmp_path):
    storage = open_storage(export())

    for ask in (
        lambda: storage.read_object("k", 1),
        lambda: storage.upload(tmp_path, "k"),
        lambda: storage.remove_object("k"),
    ):
        with pytest.raises(ConfigError, match="holds no files"):
            ask()
