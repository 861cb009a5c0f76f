"""Where tables are published. A warehouse is a module here; it is found by listing this folder.

Each module has ``connect(config)``, which returns a ``Warehouse``. What they share is here: how
a column is called and typed there, the catalog, the ledger, the comparison with the store.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, NoReturn, Self

from finops.columns import ColumnType, widen
from finops.config import WarehouseConfig
from finops.errors import ConfigError, RefusedError
from finops.money import widened_expression
from finops.period import BillingPeriod
from finops.rows import JSON, PUBLISHED_TIME, Column, Measures, Rows

LEDGER = "finops_loads"
# Makes the views over a table anew, of what is there now.
RemakeViews = Callable[[], None]
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Table:
    """A published table; names are those of the store, the warehouse makes its own of them.

    Where it is not ``partitioned``, each period has a table of its own under a view of this
    name. ``clustering`` are the columns that rows are sorted by, ``views`` those of ours that
    read it, the outermost first.
    """

    dataset: str
    name: str
    partitioned: bool
    period_column: str
    start_column: str
    clustering: tuple[str, ...] = ()
    views: tuple[str, ...] = ()

    def holding(self, period: BillingPeriod) -> str:
        """Return the name of the table that the rows of a period are in."""
        return self.name if self.partitioned else self.part(period)

    def part(self, period: BillingPeriod) -> str:
        """Return the name of a period's own table or partition."""
        return f"{self.name}_{period.year:04}_{period.month:02}"


@dataclass(frozen=True, slots=True)
class Publication:
    """A row of the ledger in the warehouse: what one period of a table holds since when.

    ``generation`` counts the replacements of the period; ``totals`` (billed cost per currency)
    and ``renamed`` (original to own name) are JSON; ``billing_accounts`` tells whose bill it is.
    """

    table_name: str
    billing_period: str
    generation: int
    kind: str
    vendor: str
    export: str
    load_id: str
    delivery_id: str
    content: str
    row_count: int
    totals: str
    renamed: str
    billing_accounts: str
    run_id: str
    published_at: datetime


_LEDGER_TYPES = {"int": ColumnType.BIGINT, "datetime": PUBLISHED_TIME}
LEDGER_COLUMNS = {
    field.name: str(_LEDGER_TYPES.get(str(field.type), ColumnType.TEXT))
    for field in fields(Publication)
}


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view that is there; ``columns`` by own name, in order, with DuckDB's types."""

    is_view: bool
    columns: dict[str, str]


@dataclass(frozen=True, slots=True)
class Finding:
    """What ``finops warehouse check`` tried, and what came of it."""

    subject: str
    detail: str


class Warehouse(ABC):
    """An open warehouse.

    Everything raises ``AccessError``, ``UnavailableError``, ``TemporaryError`` or ``ConfigError``
    for what can go wrong on the way.
    """

    # DuckDB's types and what they are called there; of two with one name the first is meant.
    types: ClassVar[Mapping[str, str]]
    # Names that can be a column's, and how long they may be.
    column_names: ClassVar[re.Pattern[str]]
    longest_name: ClassVar[int]

    def __init__(self, config: WarehouseConfig, scratch: Path) -> None:
        """Connect; ``scratch`` is a folder for files that are on their way."""
        self.config = config
        self.scratch = scratch

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """End the connection."""

    @abstractmethod
    def identifier(self, *names: str) -> str:
        """Quote a name, or a dotted path of names, for use in SQL."""

    @abstractmethod
    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows; money is ``Decimal`` or its text."""

    @abstractmethod
    def replace(
        self,
        table: Table,
        period: BillingPeriod,
        rows: Rows,
        entry: Publication,
        remake_views: RemakeViews,
    ) -> None:
        """Replace the rows of one period, and write the ledger.

        The table gets the columns and types that it lacks; where a type widens, the views are
        remade at once. Rows of other periods stay.

        Raises:
            RefusedError: what is there then is not what the store has.
        """

    @abstractmethod
    def create_view(self, dataset: str, name: str, sql: str) -> None:
        """Make a view, or make it anew where ``sql`` is another one."""

    @abstractmethod
    def check(self) -> Iterator[Finding]:
        """Try everything that publishing needs, and leave nothing behind."""

    def own_name(self, name: str) -> str:
        """Return what a column is called here, which depends on its name alone."""
        own = self.spelled(name)
        if self.column_names.fullmatch(own) and len(own) <= self.longest_name:
            return own
        digest = sha256(name.encode()).hexdigest()[:_DIGITS]
        clean = re.sub(r"[^A-Za-z0-9_]", "_", own)[: self.longest_name - _DIGITS - 3]
        return f"x_{clean}_{digest}"

    def table_name(self, name: str) -> str:
        """Return what a table is called here; a period's own adds its month."""
        room = self.longest_name - len("_2024_01")
        if len(name) <= room:
            return name
        digest = sha256(name.encode()).hexdigest()[:_DIGITS]
        return f"{name[: room - _DIGITS - 1]}_{digest}"

    def spelled(self, name: str) -> str:
        """Return a name so that SQL finds it unquoted."""
        return name

    def columns_for(self, rows: Rows, present: Mapping[str, str]) -> tuple[Column, ...]:
        """Return the columns of ``rows`` as they are called and typed here.

        Where ``present`` has a column already, its type is widened to hold both.
        """
        return tuple(self._own_column(column, present) for column in rows.columns)

    def _own_column(self, column: Column, present: Mapping[str, str]) -> Column:
        name = self.own_name(column.name)
        if column.type.startswith("MAP(") and column.type not in self.types:
            column = replace(column, type=JSON, cell=f"to_json({column.cell})")
        wanted = widest((column.type, present.get(name, column.type)))
        cell = column.cell
        if (column.type, wanted) == (PUBLISHED_TIME, ColumnType.TEXT):
            cell = f"CAST({cell} AS {ColumnType.TIMESTAMP})"
        cell = widened_expression(cell, column.type, wanted)
        if wanted.startswith("MAP("):
            cell = f"map_entries({cell})"
        return Column(name, wanted, cell, column.original)

    @abstractmethod
    def described(self, dataset: str) -> list[tuple[str, bool, str, str]]:
        """Return name, whether it is a view, column and own type of all that a dataset has."""

    def catalog(self, dataset: str) -> dict[str, Relation]:
        """Return the tables and views of a dataset by name; none where there is no dataset."""
        known = {own: kind for kind, own in reversed(list(self.types.items()))}
        relations: dict[str, Relation] = {}
        for name, is_view, column, kind in self.described(dataset):
            relation = relations.setdefault(name, Relation(is_view, {}))
            relation.columns[column] = known.get(kind, ColumnType.TEXT)
        return relations

    def holds(self, table: Table, period: BillingPeriod, there: Mapping[str, Relation]) -> bool:
        """Tell whether what holds the rows of a period is there."""
        return table.holding(period) in there

    def ledger(self, dataset: str) -> dict[tuple[str, str], Publication]:
        """Return what each period of each table holds, by table name and period."""
        columns = ", ".join(LEDGER_COLUMNS)
        rows = self.query(
            f"SELECT {columns} FROM {self.identifier(dataset, LEDGER)}"
            " ORDER BY generation, published_at"
        )
        entries = (Publication(*row) for row in rows)
        return {(entry.table_name, entry.billing_period): entry for entry in entries}

    def refuse_foreign(self, dataset: str, name: str) -> NoReturn:
        """Refuse to replace what somebody else made.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            f"{dataset}.{name} is there, and finops did not make it",
            code="not-ours",
            do=f"set dataset, focus_dataset or table in [{self.config.section}], or rename it",
        )

    def compare(self, table: Table, period: BillingPeriod, rows: Rows) -> None:
        """Count and add up what the warehouse has of a period, and compare it with the store.

        Raises:
            RefusedError: a number differs.
        """
        expected = rows.measure()
        sums = "".join(f", sum({self.identifier(name)})" for name in expected.sums)
        ((count, *found),) = self.query(
            f"SELECT count(*){sums} FROM {self.identifier(table.dataset, table.holding(period))}"
            f" WHERE {self.only(table, period)}"
        )
        amounts = [None if amount is None else Decimal(amount) for amount in found]
        _refuse_difference(
            Measures(count, dict(zip(expected.sums, amounts, strict=True))), expected
        )

    def only(self, table: Table, period: BillingPeriod) -> str:
        """Return SQL that is true for the rows of a period."""
        return f"{self.identifier(self.own_name(table.period_column))} = '{period}'"

    def union(
        self,
        dataset: str,
        parts: Mapping[str, Relation],
        first: Sequence[str],
    ) -> str:
        """Return SQL for all rows of some tables, with every column that any of them has.

        Columns that ``first`` names keep that order; others follow as the tables have them.
        """
        kinds: dict[str, str] = dict.fromkeys(first, "")
        for part in parts.values():
            for name, kind in part.columns.items():
                kinds[name] = widest((kinds.get(name) or kind, kind))
        kinds = {name: kind for name, kind in kinds.items() if kind}
        return "\nUNION ALL\n".join(
            f"SELECT {', '.join(self._cell(name, part, kind) for name, kind in kinds.items())}"
            f" FROM {self.identifier(dataset, table)}"
            for table, part in parts.items()
        )

    def _cell(self, name: str, part: Relation, kind: str) -> str:
        column, present = self.identifier(name), part.columns.get(name)
        if present is None:
            return f"CAST(NULL AS {self.types[kind]}) AS {column}"
        return column if present == kind else f"{self.cast(column, present, kind)} AS {column}"

    def cast(self, value: str, _present: str, wanted: str) -> str:
        """Return SQL that turns a value of one type into a wider one."""
        return f"CAST({value} AS {self.types[wanted]})"


def connect(config: WarehouseConfig, scratch: Path) -> Warehouse:
    """Connect to the warehouse that a section of the configuration describes."""
    module = import_module(f"finops.warehouses.{config.type}")
    warehouse: Warehouse = module.connect(config, scratch)
    return warehouse


def widened_columns(there: Mapping[str, str], columns: Iterable[Column]) -> list[Column]:
    """Return the columns that are there in a type that holds too little."""
    return [each for each in columns if there.get(each.name, each.type) != each.type]


def widest(kinds: Iterable[str]) -> str:
    """Return the narrowest of DuckDB's types that holds values of all the given ones."""
    first, *others = kinds
    for other in others:
        first = _wider(first, other)
    return first


def _wider(one: str, other: str) -> str:
    if one == other:
        return one
    times = {one, other} & {PUBLISHED_TIME, JSON}
    if times:
        return PUBLISHED_TIME if {one, other} == {PUBLISHED_TIME, ColumnType.DATE} else "VARCHAR"
    return str(widen(ColumnType(one), ColumnType(other)))


def _refuse_difference(found: Measures, expected: Measures) -> None:
    if found.rows != expected.rows:
        raise _different("rows", f"{found.rows:,}", f"{expected.rows:,}")
    for name, amount in expected.sums.items():
        if found.sums[name] != amount:
            raise _different(f"in the sum of {name}", f"{found.sums[name]}", f"{amount}")


def _different(what: str, there: str, here: str) -> RefusedError:
    return RefusedError(
        f"what was published is not what the store has: {there} {what}, where the store has {here}",
        code="not-equal",
        do="run again with --force; if it stays, report it with both figures",
    )
