"""Google's columns: the exports' own dotted names, their types, and how text cells are read.

``columns.csv`` is the union of the standard and the detailed usage cost export, ``focus.csv``
Google's own FOCUS table. A name counts in any case, with ``.`` or ``_`` or neither, so that
files in which records were flattened by hand are the same. Source: Cloud Billing, "Structure of
Standard data export" and "Structure of Detailed data export".
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from finops.columns import (
    ColumnType,
    DataFileView,
    FileColumn,
    SourceColumn,
    StoredColumn,
    natural_type,
)
from finops.delivery import Delivery
from finops.errors import BadDataError
from finops.sql import identifier

USAGE, FOCUS = "usage", "focus"
_FILES = {USAGE: "columns.csv", FOCUS: "focus.csv"}
_REQUIRED = {
    USAGE: ("cost", "currency", "invoice.month"),
    FOCUS: ("BilledCost", "BillingCurrency", "BillingPeriodStart"),
}
_CLUSTERING = {
    USAGE: ("project.id", "service.id", "sku.id", "resource.global_name", "usage_start_time"),
    FOCUS: ("SubAccountId", "ServiceName", "SkuId", "ResourceId", "ChargePeriodStart"),
}
TYPES = {
    "text": ColumnType.TEXT,
    "json": ColumnType.TEXT,
    "money": ColumnType.MONEY,
    "quantity": ColumnType.DOUBLE,
    "timestamp": ColumnType.TIMESTAMP,
}
# BigQuery writes "2026-08-01 07:00:00 UTC" into CSV and JSON.
_TIME = (
    "CASE WHEN regexp_full_match({cell},"
    r" '\d{4}-\d\d-\d\d([T ]\d\d:[\d:.]+ ?(Z|UTC|[-+]\d[\d:]*)?)?')"
    " THEN CAST(CAST(regexp_replace({cell}, ' ?UTC$', 'Z') AS TIMESTAMPTZ) AS TIMESTAMP)"
    " ELSE CAST('?' || {cell} AS TIMESTAMP) END"
)


@dataclass(frozen=True, slots=True)
class ContractColumn:
    """A column of an export; ``position`` is its line in the contract."""

    original: str
    kind: str
    position: int


@cache
def read_contract(shape: str) -> dict[str, ContractColumn]:
    """Return the contract of a shape by what spellings have in common (see ``squashed``)."""
    rows = csv.DictReader(_packaged(_FILES[shape]).splitlines())
    return {
        squashed(row["column"]): ContractColumn(row["column"], row["kind"], position)
        for position, row in enumerate(rows)
    }


def squashed(name: str) -> str:
    """Return a column's name without case, ``.``, ``_`` and blanks."""
    return re.sub(r"[._\s]", "", name).lower()


def flattens_records() -> bool:
    """Tell that fields of records are columns; repeated ones are one column of JSON."""
    return True


def clustering(shape: str) -> tuple[str, ...]:
    """Return the originals to sort rows by: project, service, price, resource, time."""
    return _CLUSTERING[shape]


def find_shape(columns: Sequence[FileColumn], key: str) -> str:
    """Tell the usage cost exports from the FOCUS table.

    Raises:
        BadDataError: the file is no bill of Google's.
    """
    shape = FOCUS if "billedcost" in {squashed(column.name) for column in columns} else USAGE
    _check(shape, columns, key)
    return shape


def check_columns(delivery: Delivery, columns: Sequence[FileColumn], key: str) -> None:
    """Refuse a file that is no bill, or whose credits are no list beside their cost.

    Raises:
        BadDataError: what it takes to count it right is not there.
    """
    _check(delivery.shape, columns, key)


def describe_columns(
    delivery: Delivery,
    columns: Sequence[FileColumn],
    _known_originals: Iterable[str],
    _file: DataFileView,
) -> tuple[list[SourceColumn], list[str]]:
    """Say what each column of a data file is called at Google, its type, and how it is read."""
    contract, taken = read_contract(delivery.shape), set[str]()
    described: list[SourceColumn] = []
    for column in columns:
        known = contract.get(squashed(column.name))
        known = None if known is None or known.original in taken else known
        described.append(_described(column, known))
        taken.add(described[-1].original)
    return described, _notices(delivery.shape, taken)


def row_period(shape: str, columns: Mapping[str, StoredColumn]) -> str:
    """Return SQL for the billing period of a row: the month that invoices it, never its usage's.

    Google's FOCUS table begins a month at midnight in Pacific time, hours later in UTC on the
    same day. So the month is the same in both.
    """
    if shape == FOCUS:
        return f"strftime({identifier(columns['BillingPeriodStart'].name)}, '%Y-%m')"
    month = f"CAST({identifier(columns['invoice.month'].name)} AS VARCHAR)"
    return rf"regexp_replace({month}, '^(\d{{4}})-?(\d\d)$', '\1-\2')"


def _check(shape: str, columns: Sequence[FileColumn], key: str) -> None:
    found = {squashed(column.name): column.physical for column in columns}
    for name in _REQUIRED[shape]:
        if squashed(name) not in found:
            raise BadDataError(
                f"without the column {name} it is no billing data of Google Cloud",
                code="bad-header",
                where=f"{key}, line 1",
                do="export all columns of the billing table, and keep other files elsewhere",
            )
    credits_type = natural_type(found.get("credits", "VARCHAR"))
    unnested = any(
        column.name.lower().rpartition(".")[2] == "amount"
        and squashed(column.name) not in read_contract(shape)
        for column in columns
    )
    if shape == USAGE and (unnested or credits_type != ColumnType.TEXT):
        raise BadDataError(
            "the credits are no list beside their cost: what counts twice or not is not known",
            code="bad-header",
            where=f"{key}, line 1",
            do="export the column credits as it is, or in CSV as TO_JSON_STRING(credits)",
        )
    _refuse_mixed(shape, columns, key)


def _refuse_mixed(shape: str, columns: Sequence[FileColumn], key: str) -> None:
    """Refuse two spellings of one column, and a value that is a record on some lines."""
    contract, seen = read_contract(shape), dict[str, str]()
    for column in columns:
        known = contract.get(squashed(column.name))
        *parents, _ = column.name.split(".")
        paths = (squashed(".".join(parents[: end + 1])) for end in range(len(parents)))
        other = seen.setdefault(known.original, column.name) if known else column.name
        if other != column.name or any(path in contract for path in paths if not known):
            raise BadDataError(
                f"the column {column.name} is there in two forms",
                code="bad-header",
                where=f"{key}, line 1",
                do="see what wrote this file: which of them counts is not known",
            )


def _notices(shape: str, originals: set[str]) -> list[str]:
    if shape == FOCUS or "credits" in originals:
        return []
    return ["there is no column credits, so no credit is counted"]


def _described(column: FileColumn, known: ContractColumn | None) -> SourceColumn:
    is_text = column.physical == "VARCHAR"
    if known is None:
        kind = ColumnType.TEXT if is_text else natural_type(column.physical)
        return SourceColumn(column, column.name, kind)
    reading = {"json": _json_reading(), "timestamp": _TIME}.get(known.kind, "")
    return SourceColumn(
        column, known.original, TYPES[known.kind], known.position, reading if is_text else ""
    )


@cache
def _json_reading() -> str:
    return _packaged("json_cell.sql")


def _packaged(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")
