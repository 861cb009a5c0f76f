"""Invoice totals as the user states them, in a small CSV or TOML file."""

from __future__ import annotations

import csv
import io
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from finops.errors import ConfigError
from finops.period import BillingPeriod

_KEYS = {
    "invoice_id": r".+",
    "total": r"[-+]?\d{1,14}(\.\d{1,24})?",
    "currency": r"[A-Z]{3}",
    "billing_entity": r".*",
    "period": r"((19|2\d)\d\d-(0[1-9]|1[0-2]))?",
}
_EXAMPLE = (
    "in CSV write invoice_id,total,currency and below it, for example, 1400000001,1234.56,USD;"
    " in TOML the same keys below [[invoice]]"
)


@dataclass(frozen=True, slots=True)
class Invoice:
    """What an invoice says; ``billing_entity`` and ``period`` narrow down what it is about."""

    invoice_id: str
    total: Decimal
    currency: str
    billing_entity: str | None
    period: BillingPeriod | None


def read_invoices(file: Path) -> list[Invoice]:
    """Read the stated totals, in the order of the file.

    Raises:
        ConfigError: the file cannot be read, a key is unknown, missing or impossible, or an
            invoice comes twice.
    """
    read = _toml_rows if file.suffix.lower() == ".toml" else _csv_rows
    invoices: dict[object, Invoice] = {}
    try:
        for place, row in read(file.read_text("utf-8-sig")):
            invoice = _invoice(row, f"{file}, {place}")
            key = (invoice.invoice_id, invoice.currency, invoice.billing_entity, invoice.period)
            if key in invoices:
                raise _refused(f"{invoice.invoice_id} is there twice", f"{file}, {place}")
            invoices[key] = invoice
    except (OSError, UnicodeDecodeError, csv.Error, tomllib.TOMLDecodeError) as error:
        raise _refused(f"it cannot be read: {error}", str(file)) from error
    if not invoices:
        raise _refused("it names no invoice", str(file))
    return list(invoices.values())


def _csv_rows(text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="a cell too many", strict=True)
    for row in reader:
        yield f"line {reader.line_num}", row


def _toml_rows(text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    rows = tomllib.loads(text, parse_float=Decimal).get("invoice", [])
    for number, row in enumerate(rows if isinstance(rows, list) else [rows], 1):
        yield f"[[invoice]] number {number}", row if isinstance(row, dict) else {"invoice": row}


def _invoice(row: Mapping[str, Any], place: str) -> Invoice:
    for key in sorted(row.keys() - _KEYS.keys()):
        raise _refused(f"{key!r} is no key; known are {', '.join(_KEYS)}", place)
    cells = {key: str("" if row.get(key) is None else row[key]).strip() for key in _KEYS}
    for key, cell in cells.items():
        if not re.fullmatch(_KEYS[key], cell):
            what = f"{cell!r} is no {key}" if cell else f"{key} is missing"
            raise _refused(what, f"{place}, {key}")
    invoice_id, total, currency, entity, period = cells.values()
    parsed = BillingPeriod.parse(period) if period else None
    return Invoice(invoice_id, Decimal(total), currency, entity or None, parsed)


def _refused(what: str, where: str) -> ConfigError:
    return ConfigError(
        f"the invoice file is wrong: {what}", code="invoice-file", where=where, do=_EXAMPLE
    )
