"""Deliver rows that are FOCUS already, as AWS exports them."""

import csv
import gzip
import io
import json

_EXPORT = "cur-reports/monthly-cur"


def deliver_focus(bucket, rows, period="2024-01"):
    """Write one delivery; a row is a dict, and the columns are those of the first."""
    key = f"{_EXPORT}/data/BILLING_PERIOD={period}/monthly-cur-00001.csv.gz"
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    _write(bucket / key, gzip.compress(text.getvalue().encode(), mtime=0))
    manifest = {"executionId": f"{period}-{len(rows)}", "dataFiles": [f"s3://bucket/{key}"]}
    place = f"{_EXPORT}/metadata/BILLING_PERIOD={period}/monthly-cur-Manifest.json"
    _write(bucket / place, json.dumps(manifest).encode())


def _write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
