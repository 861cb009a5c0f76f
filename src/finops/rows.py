"""Rows that leave the store: those of one billing period, in published names and types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from finops.columns import ColumnType
from finops.sql import Connection, identifier, query

_ROW_GROUP = 245_760
_ARROW_BATCH = 50_000
# Times are UTC by contract in the store; who reads them elsewhere sees the zone.
PUBLISHED_TIME = "TIMESTAMP WITH TIME ZONE"
JSON = "JSON"


@dataclass(frozen=True, slots=True)
class Column:
    """A published column: ``cell`` is SQL over the source that gives a value of ``type``.

    ``original`` is what the column is called where it comes from.
    """

    name: str
    type: str
    cell: str
    original: str = ""

    @classmethod
    def of_store(cls, name: str, kind: str, original: str = "", cell: str = "") -> Column:
        """Publish a column of the store, or what ``cell`` makes of it; a time with its zone."""
        cell, original = cell or identifier(name), original or name
        if kind == ColumnType.TIMESTAMP:
            return cls(name, PUBLISHED_TIME, f"CAST({cell} AS {PUBLISHED_TIME})", original)
        return cls(name, kind, cell, original)


@dataclass(frozen=True, slots=True)
class Measures:
    """What must be the same on both sides: the number of rows, and every money column's sum."""

    rows: int
    sums: dict[str, Decimal | None]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of ``source`` (a relation in SQL, its ``values`` to be bound), ready to be written.

    ``order`` names published columns: rows that are read together lie together.
    """

    db: Connection
    source: str
    values: Mapping[str, Any]
    columns: tuple[Column, ...]
    order: tuple[str, ...] = ()

    def with_columns(self, columns: tuple[Column, ...]) -> Rows:
        """Return the same rows in other columns, in the order that the source has them."""
        return replace(self, columns=columns, order=())

    def without(self, name: str) -> Rows:
        """Return the same rows without the column called ``name``."""
        return replace(self, columns=tuple(each for each in self.columns if each.name != name))

    def write_parquet(self, file: Path) -> int:
        """Write one Parquet file and return how many rows it has."""
        ((rows,),) = query(
            self.db,
            f"COPY ({self._select()}) TO $file"
            f" (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP})",
            {**self.values, "file": str(file)},
        )
        return int(rows)

    def arrow(self) -> Any:
        """Return the rows as a stream of Arrow record batches."""
        return self.db.sql(self._select(), params=dict(self.values)).to_arrow_reader(_ARROW_BATCH)

    def count(self) -> int:
        """Count the rows."""
        ((rows,),) = query(self.db, f"SELECT count(*) FROM {self.source}", self.values)
        return int(rows)

    def measure(self) -> Measures:
        """Count the rows and add up every money column; a sum of nothing is None."""
        money = [column for column in self.columns if column.type == ColumnType.MONEY]
        sums = "".join(f", sum({column.cell})" for column in money)
        ((rows, *found),) = query(self.db, f"SELECT count(*){sums} FROM {self.source}", self.values)
        return Measures(rows, dict(zip([column.name for column in money], found, strict=True)))

    def _select(self) -> str:
        # Outside DuckDB, JSON is a text that the reader's own type describes.
        cells = ", ".join(
            f"{f'CAST({each.cell} AS VARCHAR)' if each.type == JSON else each.cell}"
            f" AS {identifier(each.name)}"
            for each in self.columns
        )
        order = ", ".join(map(identifier, self.order))
        return f"SELECT {cells} FROM {self.source}" + (f" ORDER BY {order}" if order else "")
