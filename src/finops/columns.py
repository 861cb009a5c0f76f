"""Columns: clean names that never collide, and types that only widen.

Kept apart from the store because names and types are pure rules: what a header
is called and which type holds two deliveries' values is decided here alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

PERIOD_COLUMN = "billing_period"
START_COLUMN = "billing_period_start"  # beside it where rows are published: a DATE
LOAD_COLUMN = "_finops_load_id"
MAX_COLUMNS = 5_000

_UNCLEAN = re.compile(r"[^A-Za-z0-9]")


class ColumnType(StrEnum):
    """The types a stored column can have; the value is DuckDB's spelling."""

    TEXT = "VARCHAR"
    TIMESTAMP = "TIMESTAMP"
    DATE = "DATE"
    BOOLEAN = "BOOLEAN"
    BIGINT = "BIGINT"
    DOUBLE = "DOUBLE"
    MONEY = "DECIMAL(38,24)"
    TEXT_MAP = "MAP(VARCHAR, VARCHAR)"
    MONEY_MAP = "MAP(VARCHAR, DECIMAL(38,24))"


_NUMBERS = frozenset((ColumnType.BIGINT, ColumnType.DOUBLE, ColumnType.MONEY))


@dataclass(frozen=True, slots=True)
class FileColumn:
    """A column as a data file spells it; ``physical`` is DuckDB's type of what lies there.

    ``path`` leads to a field of a record; the name is then that of the path, with dots.
    """

    name: str
    physical: str = "VARCHAR"
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """A file's column with the vendor's ``original`` name and the type it is stored in.

    ``position`` is its place in the vendor's contract, which orders the columns of
    ``billing``; columns outside the contract follow by name. ``reading`` is SQL that makes the
    stored value of the text ``{cell}``, where that takes more than a cast. With ``constant``
    the column is not in the file: every row of it has this text. ``null_word`` is a text that
    says there is nothing. ``repairs`` are counted: what was mended, and SQL over ``{cell}``
    that tells where.
    """

    file_column: FileColumn
    original: str
    type: ColumnType
    position: int | None = None
    reading: str = ""
    constant: str | None = None
    null_word: str = ""
    repairs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class FoundCell:
    """A cell of a data file, and the column that it stands in."""

    column: FileColumn
    text: str


class DataFileView(Protocol):
    """A data file, for a vendor that must look at its values to know how they are written."""

    @property
    def label(self) -> str:
        """What the delivery says of the file."""
        ...

    def find(
        self, columns: Sequence[FileColumn], patterns: Sequence[str]
    ) -> list[FoundCell | None]:
        """Return for each regular expression a cell of these columns that begins with it."""
        ...

    def place(self, cell: FoundCell) -> str:
        """Say where a cell stands: file and line."""
        ...


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """A column of a dataset: what the registry gave to a vendor's original name."""

    original: str
    name: str
    type: ColumnType


def clean_column_name(original: str) -> str:
    """Return the column name: lower case, all but ASCII letters and digits become ``_``."""
    return _UNCLEAN.sub("_", original).lower()


def assign_names(originals: Iterable[str], given: Mapping[str, str]) -> dict[str, str]:
    """Name every original; ``given`` (original to name) is never changed.

    Of new originals with the same clean name, the first in byte order gets it and
    the others get a suffix from their own SHA-256, so the order of columns in a
    file decides nothing.
    """
    names = dict(given)
    taken = {PERIOD_COLUMN, START_COLUMN, LOAD_COLUMN, *given.values()}
    for original in sorted(set(originals) - given.keys(), key=str.encode):
        names[original] = _free_name(original, taken)
        taken.add(names[original])
    return names


def _free_name(original: str, taken: set[str]) -> str:
    name = clean_column_name(original)
    if name not in taken and not name.startswith("_finops_"):
        return name
    digest = hashlib.sha256(original.encode()).hexdigest()
    return next(
        candidate
        for digits in range(6, len(digest) + 1)
        if (candidate := f"{name}_{digest[:digits]}") not in taken
    )


def widen(one: ColumnType, other: ColumnType) -> ColumnType:
    """Return the narrowest type that holds the values of both without loss."""
    if one == other:
        return one
    pair = {one, other}
    if pair <= _NUMBERS:
        return ColumnType.MONEY
    if pair == {ColumnType.DATE, ColumnType.TIMESTAMP}:
        return ColumnType.TIMESTAMP
    if pair == {ColumnType.TEXT_MAP, ColumnType.MONEY_MAP}:
        return ColumnType.TEXT_MAP
    return ColumnType.TEXT


def natural_type(physical: str) -> ColumnType:
    """Return the type that holds a Parquet column nobody described."""
    if physical.startswith("MAP("):
        numeric = physical.endswith((", DOUBLE)", ", FLOAT)")) or ", DECIMAL(" in physical
        return ColumnType.MONEY_MAP if numeric else ColumnType.TEXT_MAP
    if physical.startswith("TIMESTAMP"):
        return ColumnType.TIMESTAMP
    if physical.startswith("DECIMAL("):
        return ColumnType.MONEY
    return _NATURAL.get(physical, ColumnType.TEXT)


_NATURAL = {
    "DOUBLE": ColumnType.DOUBLE,
    "FLOAT": ColumnType.DOUBLE,
    "BOOLEAN": ColumnType.BOOLEAN,
    "DATE": ColumnType.DATE,
    **dict.fromkeys(
        ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"),
        ColumnType.BIGINT,
    ),
}
