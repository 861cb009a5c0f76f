"""What a FOCUS file must have, how its columns are read, and what is repaired on the way.

Versions 1.0 to 1.4 are told by their columns (``finops.focus.native``). Names count in any case.
Repaired are the word ``NULL`` where nothing should stand, times without a zone, and values of
enumerations in the wrong case; each is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

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
from finops.focus.columns import FocusColumn, focus_columns
from finops.sql import identifier, literal

_SHAPE = "focus"
_REQUIRED = ("BillingPeriodStart", "BilledCost", "BillingCurrency")
_NULL_WORD = "NULL"
_KINDS = {
    "text": ColumnType.TEXT,
    "money": ColumnType.MONEY,
    "timestamp": ColumnType.TIMESTAMP,
    "json": ColumnType.TEXT,
}
_ZONELESS = (
    "times without a zone were read as UTC",
    "NOT regexp_matches({cell}, '(Z|[-+]\\d\\d:?\\d\\d)$')",
)
_RECASED = "values of enumerations were in another case"


def find_shape(columns: Sequence[FileColumn], key: str) -> str:
    """Return the one shape that there is.

    Raises:
        BadDataError: it is no FOCUS file.
    """
    names = {column.name.lower() for column in columns}
    for name in _REQUIRED:
        if name.lower() not in names:
            raise BadDataError(
                f"without the column {name} it is no FOCUS file",
                code="bad-header",
                where=f"{key}, line 1",
                do="name Cost and Usage of FOCUS 1.0 to 1.4; give other datasets another prefix",
            )
    return _SHAPE


def check_columns(_delivery: Delivery, columns: Sequence[FileColumn], key: str) -> None:
    """Refuse a file that is no FOCUS.

    Raises:
        BadDataError: a column is missing that every FOCUS file has, or is there twice.
    """
    find_shape(columns, key)
    seen: dict[str, str] = {}
    for column in columns:
        other = seen.setdefault(column.name.lower(), column.name)
        if other != column.name:
            raise BadDataError(
                f"the columns {other} and {column.name} are one",
                code="bad-header",
                where=f"{key}, line 1",
                do="see what wrote this file: which of them counts is not known",
            )


def describe_columns(
    _delivery: Delivery,
    columns: Sequence[FileColumn],
    _known_originals: Iterable[str],
    _file: DataFileView,
) -> tuple[list[SourceColumn], list[str]]:
    """Say which type each column is stored in, how it is read, and what is repaired in it."""
    known = {column.name.lower(): (place, column) for place, column in enumerate(focus_columns())}
    return [
        _described(column, *known.get(column.name.lower(), (None, None))) for column in columns
    ], []


def row_period(_shape: str, columns: Mapping[str, StoredColumn]) -> str:
    """Return SQL for the month of ``BillingPeriodStart``.

    Half a day is added: a start that was midnight east of Greenwich is a day early in UTC.
    """
    start = identifier(columns["BillingPeriodStart"].name)
    return f"strftime({start} + INTERVAL 14 HOUR, '%Y-%m')"


def flattens_records() -> bool:
    """Tell that a record in a cell, such as tags, stays one."""
    return False


def clustering(_shape: str) -> tuple[str, ...]:
    """Return the originals to sort rows by: account, service, price, resource, time."""
    return ("SubAccountId", "ServiceName", "SkuPriceId", "ResourceId", "ChargePeriodStart")


def _described(column: FileColumn, place: int | None, known: FocusColumn | None) -> SourceColumn:
    name = known.name if known else column.name
    if column.physical != "VARCHAR":
        kind = _KINDS.get(known.kind) if known else None
        natural = natural_type(column.physical)
        keeps = known is None or known.kind == "json" or kind is None
        return SourceColumn(column, name, natural if keeps else kind or natural, place)
    if known is None:
        return SourceColumn(column, name, ColumnType.TEXT, null_word=_NULL_WORD)
    return SourceColumn(
        column,
        name,
        _KINDS.get(known.kind, ColumnType.MONEY),
        place,
        reading=_reading(known),
        null_word=_NULL_WORD,
        repairs=_repairs(known),
    )


def _reading(column: FocusColumn) -> str:
    """Return how a text becomes what the column allows; a value that FOCUS lacks stays."""
    if column.kind == "json":
        return "CAST(CAST({cell} AS JSON) AS VARCHAR)"
    if not column.allowed:
        return ""
    cases = " ".join(
        f"WHEN {literal(value.lower())} THEN {literal(value)}" for value in column.allowed
    )
    return f"CASE lower({{cell}}) {cases} ELSE {{cell}} END"


def _repairs(column: FocusColumn) -> tuple[tuple[str, str], ...]:
    if column.kind == "timestamp":
        return (_ZONELESS,)
    if not column.allowed:
        return ()
    values = ", ".join(map(literal, column.allowed))
    lowered = ", ".join(literal(value.lower()) for value in column.allowed)
    return ((_RECASED, f"{{cell}} NOT IN ({values}) AND lower({{cell}}) IN ({lowered})"),)
