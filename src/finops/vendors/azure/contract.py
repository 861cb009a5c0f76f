"""Azure's columns: every spelling of each, the type it is stored in, and how dates are written.

``columns.csv`` is the alias table: a spelling, its kind, and the name that the mapping knows it
by; of one name's spellings the first that a file has counts. ``focus.csv`` is the list of FOCUS
exports. Sources: Cost Management dataset schemas (EA, MCA, MPA/CSP), older usage details files.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
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
from finops.errors import BadDataError, ConfigError

COSTS, FOCUS = "costs", "focus"
DATASET_COLUMN = "dataset_type"
_FILES = {COSTS: "columns.csv", FOCUS: "focus.csv"}
_CLUSTERING = {
    COSTS: ("SubscriptionId", "MeterCategory", "MeterId", "ResourceId", "Date"),
    FOCUS: ("SubAccountId", "ServiceName", "SkuPriceId", "ResourceId", "ChargePeriodStart"),
}
_KINDS = {
    "text": ColumnType.TEXT,
    "money": ColumnType.MONEY,
    "date": ColumnType.TIMESTAMP,
    "timestamp": ColumnType.TIMESTAMP,
}
# Headers in the portal's language have the English name in brackets: Kosten (Cost).
_TRANSLATED = re.compile(r".*\((?P<name>[^()]+)\)\s*")
# The first number of a date can be no month, or the second can be none.
_MONTH, _NO_MONTH = "(0?[1-9]|1[0-2])", r"(1[3-9]|2\d|3[01])"
_DAY_FIRST, _MONTH_FIRST = f"{_NO_MONTH}/{_MONTH}/", f"{_MONTH}/{_NO_MONTH}/"
# A year of two digits is tried first: %Y would read 21 as the year 21.
_FORMS = ("{}/%y", "{}/%Y", "{}/%Y %H:%M:%S", "{}/%Y %H:%M", "{}/%Y %I:%M:%S %p")
_READING = (
    "CASE WHEN {cell} LIKE '%/%' THEN strptime({cell}, [FORMS])"
    " WHEN regexp_matches({cell}, '^\\d{4}-\\d\\d-\\d\\d')"
    " THEN CAST(CAST({cell} AS TIMESTAMPTZ) AS TIMESTAMP)"
    " ELSE CAST('?' || {cell} AS TIMESTAMP) END"
)


@dataclass(frozen=True, slots=True)
class ContractColumn:
    """A spelling that Azure uses; ``position`` is its line in the contract."""

    original: str
    kind: str
    name: str
    position: int


@cache
def read_contract(shape: str) -> dict[str, ContractColumn]:
    """Return the contract of a shape by what spellings have in common (see ``squashed``)."""
    text = files(__package__).joinpath(_FILES[shape]).read_text("utf-8")
    return {
        squashed(row["column"]): ContractColumn(
            row["column"], row["kind"], row.get("name") or row["column"], position
        )
        for position, row in enumerate(csv.DictReader(text.splitlines()))
    }


def squashed(header: str) -> str:
    """Return a header without case, blanks, ``_`` and ``-``; of a translated one the English."""
    translated = _TRANSLATED.fullmatch(header)
    name = translated["name"] if translated else header
    return re.sub(r"[\s_-]", "", name).lower()


def clustering(shape: str) -> tuple[str, ...]:
    """Return the originals to sort rows by: account, service, price, resource, time."""
    return _CLUSTERING[shape]


def row_period(_shape: str, _columns: Mapping[str, StoredColumn]) -> str:
    """Return nothing: manifests tell the billing period, and all rows of a file are of it."""
    return ""


def flattens_records() -> bool:
    """Tell that a record in a cell stays one."""
    return False


def check_columns(delivery: Delivery, columns: Sequence[FileColumn], key: str) -> None:
    """Refuse a file that is no bill: a wrong delimiter would make one column of all.

    Raises:
        BadDataError: the file has no cost or no currency.
        ConfigError: it is a FOCUS file where none was expected, or of a preview of FOCUS.
    """
    found = {squashed(column.name) for column in columns}
    if "chargesubcategory" in found:
        raise ConfigError(
            "this is FOCUS 1.0-preview, which is not read",
            code="other-shape",
            do="choose the dataset version 1.0r2 or 1.2 for the export",
        )
    if delivery.shape == COSTS and "billedcost" in found:
        raise ConfigError(
            "this is a FOCUS export, and its manifest does not say so",
            code="other-shape",
            do="export it with a manifest (a partitioned export of type FocusCost)",
        )
    _require(delivery.shape, found, key)


def _require(shape: str, found: set[str], key: str) -> None:
    wanted = ("cost", "billing_currency") if shape == COSTS else ("BilledCost", "BillingCurrency")
    names = {known.name for each, known in read_contract(shape).items() if each in found}
    for name in wanted:
        if name not in names:
            spellings = [c.original for c in read_contract(shape).values() if c.name == name]
            raise BadDataError(
                f"without the column {' or '.join(spellings)} it is no file of this export",
                code="bad-header",
                where=f"{key}, line 1",
                do="see what lies there; Azure never delivers a file without it",
            )


def describe_columns(
    delivery: Delivery,
    columns: Sequence[FileColumn],
    _known_originals: Iterable[str],
    file: DataFileView,
) -> tuple[list[SourceColumn], list[str]]:
    """Say what each column of a data file is called at Azure, its type, and how it is read.

    Spellings that differ in case alone, or by translation, are one column. The dataset that
    the file is of becomes a column ``dataset_type``.

    Raises:
        BadDataError: the file has dates with the day first and dates with the month first.
    """
    contract, taken = read_contract(delivery.shape), set[str]()
    described: list[SourceColumn] = []
    for column in columns:
        known = contract.get(squashed(column.name))
        known = None if known is None or known.original in taken else known
        described.append(_described(column, known))
        taken.add(described[-1].original)
    dates = [each for each in described if _is_written_date(each, contract)]
    if dates:
        reading = _date_reading([each.file_column for each in dates], file)
        described = [
            replace(each, reading=reading) if each in dates else each for each in described
        ]
    return described + _dataset_column(file.label, taken), []


def _described(column: FileColumn, known: ContractColumn | None) -> SourceColumn:
    if known is None:
        kind = ColumnType.TEXT if column.physical == "VARCHAR" else natural_type(column.physical)
        return SourceColumn(column, column.name, kind)
    kind = _KINDS.get(known.kind) or natural_type(column.physical)
    if known.kind == "quantity" and column.physical == "VARCHAR":
        kind = ColumnType.MONEY
    return SourceColumn(column, known.original, kind, known.position)


def _is_written_date(column: SourceColumn, contract: Mapping[str, ContractColumn]) -> bool:
    known = contract.get(squashed(column.original))
    is_date = known is not None and known.original == column.original and known.kind == "date"
    return is_date and column.file_column.physical == "VARCHAR"


def _date_reading(columns: Sequence[FileColumn], file: DataFileView) -> str:
    """Return SQL for the dates of one file, as all its dates tell together.

    Azure writes the month first where nothing says otherwise, whatever the portal's language.
    """
    day_first, month_first = file.find(columns, (_DAY_FIRST, _MONTH_FIRST))
    if day_first and month_first:
        raise BadDataError(
            f"{day_first.text[:20]!r} has the day first, {month_first.text[:20]!r}"
            f" ({file.place(month_first)}) the month",
            code="mixed-dates",
            where=file.place(day_first),
            do="see what wrote this file; Azure writes all dates of a file alike",
        )
    order = "%d/%m" if day_first else "%m/%d"
    return _READING.replace("FORMS", ", ".join(f"'{form.format(order)}'" for form in _FORMS))


def _dataset_column(label: str, taken: set[str]) -> list[SourceColumn]:
    if not label or DATASET_COLUMN in taken:
        return []
    position = read_contract(COSTS)[squashed(DATASET_COLUMN)].position
    column = FileColumn(DATASET_COLUMN)
    return [SourceColumn(column, DATASET_COLUMN, ColumnType.TEXT, position, constant=label)]
