"""Deliver hand-written line items as AWS would, in each form of the Cost and Usage Report.

Line items are dicts of CUR 2.0 names and texts; maps are dicts. What one does not name is
filled in, so that a case says what it is about and no more.
"""

import csv
import gzip
import io
import json
import re

import duckdb

from finops.vendors.aws.contract import read_contract
from finops.vendors.aws.names import aws_column_name

FORMS = ("v2 csv", "v1 csv", "v1 parquet")
PLACE = ("--prefix", "cur-reports", "--export-name", "monthly-cur")

_EXPORT = "cur-reports/monthly-cur"
_MONTH = "20240101-20240201"
_DEFAULTS = {
    "bill_bill_type": "Anniversary",
    "bill_billing_entity": "AWS",
    "bill_billing_period_end_date": "2024-02-01T00:00:00Z",
    "bill_billing_period_start_date": "2024-01-01T00:00:00Z",
    "bill_invoice_id": "1400000001",
    "bill_invoicing_entity": "Amazon Web Services, Inc.",
    "bill_payer_account_id": "123456789012",
    "line_item_currency_code": "USD",
    "line_item_legal_entity": "Amazon Web Services, Inc.",
    "line_item_line_item_type": "Usage",
    "line_item_product_code": "AmazonEC2",
    "line_item_unblended_cost": "0",
    "line_item_usage_account_id": "210987654321",
    "line_item_usage_end_date": "2024-01-01T01:00:00Z",
    "line_item_usage_start_date": "2024-01-01T00:00:00Z",
}
_V1_TAGS = {"user": "resourceTags/user:{0}{1}", "aws": "resourceTags/aws:{2}{1}"}
_PARQUET_TYPES = {"timestamp": "TIMESTAMP", "money": "DOUBLE", "quantity": "DOUBLE"}


def complete(line_item):
    """Fill in what a line item does not name."""
    filled = _DEFAULTS | line_item
    start, end = filled["line_item_usage_start_date"], filled["line_item_usage_end_date"]
    return {"identity_time_interval": f"{start}/{end}"} | filled


def deliver(bucket, line_items, form, columns=None):
    """Write one delivery of January 2024; ``columns`` are those a CUR 2.0 query names."""
    if form == "v2 csv":
        _deliver_v2(bucket, line_items, columns or _names("v2"))
    else:
        _deliver_v1(bucket, [_v1_cells(item) for item in line_items], form)


def _deliver_v2(bucket, line_items, columns):
    key = f"{_EXPORT}/data/BILLING_PERIOD=2024-01/monthly-cur-00001.csv.gz"
    kinds = _kinds("v2")
    rows = [[_v2_cell(item, name, kinds[name]) for name in columns] for item in line_items]
    _write(bucket / key, gzip.compress(_csv(columns, rows), mtime=0))
    manifest = {
        "executionId": "golden",
        "columns": [{"name": name, "type": _v2_type(kinds[name])} for name in columns],
        "dataFiles": [f"s3://sample-bucket/{key}"],
    }
    place = f"{_EXPORT}/metadata/BILLING_PERIOD=2024-01/monthly-cur-Manifest.json"
    _write(bucket / place, json.dumps(manifest).encode())


def _v2_cell(item, name, kind):
    if kind == "money_map":
        return json.dumps({key: float(value) for key, value in item.get(name, {}).items()})
    if kind == "text_map":
        return json.dumps(item.get(name, {}))
    return item.get(name, "")


def _v2_type(kind):
    if kind.endswith("_map"):
        return "map"
    return {"text": "string", "timestamp": "timestamp"}.get(kind, "double")


def _deliver_v1(bucket, rows, form):
    """CUR 1 has a column only where some line item has a value for it."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    if form == "v1 csv":
        key = f"{_EXPORT}/{_MONTH}/golden/monthly-cur-00001.csv"
        cells = [[row.get(name, "") for name in columns] for row in rows]
        _write(bucket / key, _csv(columns, cells))
    else:
        key = f"{_EXPORT}/monthly-cur/year=2024/month=1/monthly-cur-00001.snappy.parquet"
        _write_parquet(bucket / key, columns, rows)
    manifest = {
        "assemblyId": "golden",
        "columns": [
            {"category": category, "name": name, "type": _v1_type(f"{category}/{name}")}
            for category, _, name in (column.partition("/") for column in columns)
        ],
        "billingPeriod": {"start": "20240101T000000.000Z", "end": "20240201T000000.000Z"},
        "reportKeys": [key],
    }
    place = f"{_EXPORT}/{_MONTH}/monthly-cur-Manifest.json"
    _write(bucket / place, json.dumps(manifest).encode())


def _v1_cells(item):
    """Spell a line item as CUR 1 does; what CUR 1 never has is left out."""
    known = {_squash(name): name for name in _names("v1")}
    cells = {}
    for name, value in item.items():
        if isinstance(value, dict):
            cells |= {_v1_entry(name, key, known): text for key, text in value.items()}
        elif _squash(name) in known:
            cells[known[_squash(name)]] = value
    return cells


def _v1_entry(map_name, key, known):
    """Name the column that CUR 1 has for an entry of a CUR 2.0 map."""
    words = [word.capitalize() for word in key.split("_")]
    if map_name == "resource_tags":
        owner, first, *rest = words
        return _V1_TAGS[owner.lower()].format(first, "".join(rest), first.lower())
    if map_name == "cost_category":
        return f"costCategory/{' '.join(words)}"
    return known.get(_squash(map_name + key), f"{map_name}/{''.join(words)}")


def _v1_type(column):
    words = {"text": "OptionalString", "timestamp": "DateTime"}
    return words.get(_v1_kind(column), "OptionalBigDecimal")


def _v1_kind(column):
    return _kinds("v1").get(column, "money" if column.startswith("discount/") else "text")


def _write_parquet(path, columns, rows):
    """AWS leaves empty text, not NULL, in the Parquet files of CUR 1."""
    types = [_PARQUET_TYPES.get(_v1_kind(column), "VARCHAR") for column in columns]
    spelled = [
        f"{aws_column_name(column)} {kind}" for column, kind in zip(columns, types, strict=True)
    ]
    cells = [
        [
            row.get(column, "") if kind == "VARCHAR" else row.get(column) or None
            for column, kind in zip(columns, types, strict=True)
        ]
        for row in rows
    ]
    path.parent.mkdir(parents=True)
    with duckdb.connect() as db:
        db.execute(f"CREATE TABLE line_item ({', '.join(spelled)})")
        db.executemany(f"INSERT INTO line_item VALUES ({', '.join('?' * len(columns))})", cells)
        db.execute(f"COPY line_item TO '{path}' (FORMAT parquet)")


def _csv(columns, rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    return text.getvalue().encode()


def _write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _squash(name):
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _names(shape):
    return list(_kinds(shape))


def _kinds(shape):
    return {column.original: column.kind for column in read_contract(shape).values()}
