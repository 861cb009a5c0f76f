"""Deliveries whose every row is known, so that lost and doubled rows can be counted."""

import csv
import gzip
import io
import json
from collections import Counter
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise

import duckdb

from finops.period import BillingPeriod

EXPORT = "cur-reports/monthly-cur"
COLUMNS = {
    "identity/LineItemId": "identity_line_item_id",
    "lineItem/UsageStartDate": "line_item_usage_start_date",
    "lineItem/UsageType": "line_item_usage_type",
    "lineItem/UnblendedCost": "line_item_unblended_cost",
    "lineItem/CurrencyCode": "line_item_currency_code",
}
PERIODS = [BillingPeriod(2024, month) for month in (1, 2, 3)]
_WORDS = ["BoxUsage", 'with "quotes"', "a, comma", "two\nlines", "Überlänge", "", " spaces "]


@dataclass(frozen=True)
class Bill:
    """One version of a billing period; a row is an id, a text and a cost."""

    period: BillingPeriod
    version: str
    rows: tuple[tuple[str, str, Decimal], ...]

    @property
    def counted(self):
        return Counter(self.rows)

    @property
    def total(self):
        return sum((cost for _, _, cost in self.rows), Decimal(0))


def make_bill(period, version, rows, dice):
    """Make a version; the line items keep their ids, and every cost is another one."""
    lines = [
        (f"{period}-{number}", dice.choice(_WORDS), Decimal(dice.randrange(10**12)).scaleb(-10))
        for number in range(rows)
    ]
    return Bill(period, version, tuple(lines))


def make_bills(version, dice, *, periods=PERIODS, rows=300):
    return {str(period): make_bill(period, version, rows, dice) for period in periods}


def retouched(bill, version):
    """Change every cost in its last digit: the files of the version are as long as before."""
    step = Decimal("0.0000000001")
    rows = [
        (identity, usage, cost - step if str(cost).endswith("9") else cost + step)
        for identity, usage, cost in bill.rows
    ]
    return replace(bill, version=version, rows=tuple(rows))


def write_bill(bucket, bill, *, files=2, form="csv.gz", overwrite=False):
    """Deliver a bill into a folder, the manifest last; return the data files' paths."""
    period = bill.period
    month = bucket / EXPORT / f"{period.start:%Y%m%d}-{period.end:%Y%m%d}"
    folder = month if overwrite else month / bill.version
    folder.mkdir(parents=True, exist_ok=True)
    bounds = [len(bill.rows) * part // files for part in range(files + 1)]
    paths = [folder / f"monthly-cur-{number:05}.{form}" for number in range(1, files + 1)]
    for path, (begin, end) in zip(paths, pairwise(bounds), strict=True):
        write_data_file(path, bill.rows[begin:end], period)
    write_manifest(bucket, bill, paths)
    return paths


def write_manifest(bucket, bill, paths):
    keys = [path.relative_to(bucket).as_posix() for path in paths]
    manifest_of(bucket, bill.period).write_text(json.dumps(manifest(bill, keys)))


def manifest_of(bucket, period):
    folder = bucket / EXPORT / f"{period.start:%Y%m%d}-{period.end:%Y%m%d}"
    return folder / "monthly-cur-Manifest.json"


def manifest(bill, keys):
    return {
        "assemblyId": bill.version,
        "columns": [
            {"category": category, "name": name, "type": "OptionalString"}
            for category, _, name in (column.partition("/") for column in COLUMNS)
        ],
        "billingPeriod": {"start": f"{bill.period.start:%Y%m%dT%H%M%S.000Z}"},
        "reportKeys": keys,
    }


def write_data_file(path, rows, period):
    text = csv_text(rows, period).encode()
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text, 1, mtime=0))
    elif path.suffix == ".parquet":
        _write_parquet(path, text)
    else:
        path.write_bytes(text)


def csv_text(rows, period):
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for identity, usage, cost in rows:
        writer.writerow((identity, f"{period.start:%Y-%m-%dT00:00:00Z}", usage, f"{cost:f}", "USD"))
    return text.getvalue()


def _write_parquet(path, text):
    types = dict.fromkeys(COLUMNS, "VARCHAR") | {"lineItem/UnblendedCost": "DOUBLE"}
    types["lineItem/UsageStartDate"] = "TIMESTAMP"
    spelled = ", ".join(f'"{name}" AS {column}' for name, column in COLUMNS.items())
    source = path.with_suffix(".source")
    source.write_bytes(text)
    with duckdb.connect() as db:
        db.execute(
            f"COPY (SELECT {spelled} FROM read_csv(?, columns = {types}, header = true,"
            " auto_detect = false, quote = '\"', escape = '\"', new_line = '\\r\\n'))"
            f" TO '{path}' (FORMAT parquet)",
            [str(source)],
        )
    source.unlink()
