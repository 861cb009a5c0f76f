"""A dataset: one export's schema in the store, its tables and its view ``billing``.

The strategies differ here alone: ``separate`` keeps a table per billing period, ``single``
one table for all. ``billing`` is the same in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import ModuleType

import duckdb

from finops.columns import (
    LOAD_COLUMN,
    PERIOD_COLUMN,
    ColumnType,
    StoredColumn,
)
from finops.config import Export
from finops.errors import BadDataError, ConfigError, LocalError
from finops.focus.charges import Bill, drop_charges
from finops.money import widened_expression
from finops.period import BillingPeriod
from finops.sql import Connection, identifier, query
from finops.store.ledger import Load, current_loads, end_current_load
from finops.store.registry import read_registry

VIEW = "billing"
STAGE = "_finops_stage"
_SINGLE = "billing_data"


# Rows, billed cost per currency, and the ids of the loads that the rows carry.
Measures = tuple[int, dict[str, Decimal], set[str]]


@dataclass(frozen=True, slots=True)
class Dataset:
    """The dataset of ``export`` in an open store."""

    db: Connection
    export: Export

    def table(self, name: str) -> str:
        """Return a table of this dataset as SQL names it."""
        return identifier(self.export.dataset, name)

    def registry(self) -> dict[str, StoredColumn]:
        """Return the columns by original name, in the order that ``billing`` shows."""
        return read_registry(self.db, self.export.dataset)

    def set_up(self, shape: str) -> None:
        """Create the dataset, or see that it holds this very export in this shape.

        Raises:
            ConfigError: it holds another export's bills, or another shape.
        """
        export = self.export
        query(self.db, f"CREATE SCHEMA IF NOT EXISTS {identifier(export.dataset)}")
        found = query(
            self.db,
            "SELECT vendor, export, shape FROM finops.exports WHERE dataset = ?",
            [export.dataset],
        )
        wanted = (export.vendor, export.name, shape)
        if not found:
            query(
                self.db,
                "INSERT INTO finops.exports VALUES (?, ?, ?, ?, ?)",
                [export.dataset, *wanted, export.table_strategy],
            )
        elif found[0] != wanted:
            raise ConfigError(
                f"the dataset {export.dataset} holds {_named(*found[0])}; "
                f"this delivery is {_named(*wanted)}",
                code="other-shape",
                do=f"give it a dataset of its own: set dataset in [{export.section}]",
            )

    def shape(self) -> str:
        """Return the vendor's name for the column set that the dataset holds."""
        ((shape,),) = query(
            self.db, "SELECT shape FROM finops.exports WHERE dataset = ?", [self.export.dataset]
        )
        return str(shape)

    def strategy(self) -> str | None:
        """Return the strategy that the tables have now; None for a dataset yet to come."""
        found = query(
            self.db,
            "SELECT table_strategy FROM finops.exports WHERE dataset = ?",
            [self.export.dataset],
        )
        return found[0][0] if found else None

    def switch_strategy(self) -> bool:
        """Move all periods into the tables that the export's strategy wants."""
        if self.strategy() in (None, self.export.table_strategy):
            return False
        to_single = self.export.table_strategy == "single"
        tables, registry = self._tables(), self.registry()
        for period in current_loads(self.db, self.export.dataset):
            old = table_of(period) if to_single else _SINGLE
            query(
                self.db,
                f"CREATE TABLE {self.table(STAGE)} AS SELECT * FROM"
                f" ({self._registered(old, tables[old], registry)}) WHERE {PERIOD_COLUMN} = ?",
                [str(period)],
            )
            if to_single:
                query(self.db, f"DROP TABLE {self.table(old)}")
            self.swap_in(period)
        if not to_single:
            query(self.db, f"DROP TABLE IF EXISTS {self.table(_SINGLE)}")
        query(
            self.db,
            "UPDATE finops.exports SET table_strategy = ? WHERE dataset = ?",
            [self.export.table_strategy, self.export.dataset],
        )
        self.create_view()
        return True

    def swap_in(self, period: BillingPeriod) -> None:
        """Make the rows of the stage the only ones of their period."""
        if self.export.table_strategy == "separate":
            query(self.db, f"DROP TABLE IF EXISTS {self.table(table_of(period))}")
            query(
                self.db,
                f"ALTER TABLE {self.table(STAGE)} RENAME TO {identifier(table_of(period))}",
            )
            return
        self._grow_single_table()
        single = self.table(_SINGLE)
        query(self.db, f"DELETE FROM {single} WHERE {PERIOD_COLUMN} = ?", [str(period)])
        query(self.db, f"INSERT INTO {single} BY NAME SELECT * FROM {self.table(STAGE)}")
        query(self.db, f"DROP TABLE {self.table(STAGE)}")

    def drop_period(self, period: BillingPeriod) -> None:
        """Take a period out of the tables, of ``billing`` and of what counts."""
        if self.strategy() == "separate":
            query(self.db, f"DROP TABLE IF EXISTS {self.table(table_of(period))}")
        elif _SINGLE in self._tables():
            single = self.table(_SINGLE)
            query(self.db, f"DELETE FROM {single} WHERE {PERIOD_COLUMN} = ?", [str(period)])
        end_current_load(self.db, self.export.dataset, period)
        drop_charges(self.db, self.export.dataset, period)
        self.create_view()

    def create_view(self) -> None:
        """Make ``billing``: all periods, every registered column, spelled out with its type."""
        registry = self.registry()
        selects = [
            self._registered(table, present, registry)
            for table, present in self._tables_in_use().items()
        ] or [_empty(registry)]
        query(
            self.db,
            f"CREATE OR REPLACE VIEW {self.table(VIEW)} AS " + "\nUNION ALL\n".join(selects),
        )

    def widen_tables(self) -> None:
        """Give the columns of all tables their registered types.

        Done when a type widens, not when ``billing`` is read: what does not fit is found now.

        Raises:
            BadDataError: earlier values do not fit the type that the new delivery needs.
        """
        registered = {column.name: column.type for column in self.registry().values()}
        for table, columns in self._tables_in_use().items():
            for name, present in columns.items():
                if registered.get(name, present) != present:
                    self._alter(table, name, present, registered[name])

    def has_table(self, period: BillingPeriod) -> bool:
        """Tell whether the table that a loaded period belongs in is there."""
        return self._table_holding(period) in self._tables()

    def measure(self, vendor: ModuleType, table: str, period: BillingPeriod) -> Measures:
        """Count the rows of a period in a table, add up billed cost, and name their loads."""
        source = self.table(table)
        total = vendor.source_totals(self.shape(), self._columns_in(table), source)
        totals = query(
            self.db,
            f"SELECT currency, sum(total) FROM ({total}) GROUP BY 1 HAVING sum(total) IS NOT NULL"
            " ORDER BY 1",
            {"billing_period": str(period)},
        )
        ((rows, loads),) = query(
            self.db,
            f"SELECT count(*), list(DISTINCT {LOAD_COLUMN}) FROM {source}"
            f" WHERE {PERIOD_COLUMN} = ?",
            [str(period)],
        )
        return rows, dict(totals), set(loads or ())

    def measure_period(self, vendor: ModuleType, period: BillingPeriod) -> Measures | None:
        """Measure one loaded period; None if its table was dropped by hand."""
        if not self.has_table(period):
            return None
        return self.measure(vendor, self._table_holding(period), period)

    def period_rows(self, period: BillingPeriod) -> str:
        """Return SQL for the rows of a period as ``billing`` shows them, without binding it.

        There are none where the table was dropped by hand.
        """
        tables, table, registry = self._tables(), self._table_holding(period), self.registry()
        if table not in tables:
            return _empty(registry)
        rows = self._registered(table, tables[table], registry)
        return f"{rows} WHERE {PERIOD_COLUMN} = '{period}'"

    def _columns_in(self, table: str) -> dict[str, StoredColumn]:
        """Return the columns that a table has, by original name."""
        present = self._tables()[table]
        return {
            original: column
            for original, column in self.registry().items()
            if column.name in present
        }

    def bill(self, vendor: ModuleType, load: Load) -> Bill:
        """Return the line items of a loaded period, for charges to be made of them.

        Raises:
            LocalError: their table was dropped by hand.
        """
        table = self._table_holding(load.period)
        if table not in self._tables():
            raise LocalError(
                f"the table {table} was dropped by hand",
                code="missing-table",
                do="finops rebuild, or import-cur --force, brings it back",
            )
        return Bill(
            vendor=vendor,
            vendor_name=self.export.vendor,
            export=self.export.name,
            dataset=self.export.dataset,
            shape=self.shape(),
            period=load.period,
            load_id=load.load_id,
            delivered_at=load.delivered_at,
            table=self.table(table),
            columns=self._columns_in(table),
        )

    def column_problems(self) -> list[str]:
        """Say where tables and ``billing`` differ from the registry."""
        registered = {column.name: str(column.type) for column in self.registry().values()}
        stamps = dict.fromkeys((PERIOD_COLUMN, LOAD_COLUMN), "VARCHAR")
        tables = self._tables()
        problems = [
            f"{table}.{name} is {kind}, the registry says {wanted or 'nothing'}"
            for table, columns in tables.items()
            for name, kind in columns.items()
            if kind != (wanted := (registered | stamps).get(name))
        ]
        missing = [name for name in registered if name not in tables.get(VIEW, {})]
        return problems + [f"{VIEW} lacks {name}" for name in missing]

    def _table_holding(self, period: BillingPeriod) -> str:
        return table_of(period) if self.strategy() == "separate" else _SINGLE

    def _alter(self, table: str, name: str, present: str, wanted: ColumnType) -> None:
        cell = identifier(name)
        widened = widened_expression(cell, present, wanted)
        sql = f"ALTER TABLE {self.table(table)} ALTER {cell} TYPE {wanted} USING {widened}"
        try:
            query(self.db, sql)
        except duckdb.ConversionException as error:
            raise BadDataError(
                f"the column {name} now needs {wanted}, which values of {table} do not fit",
                code="other-type",
                do=f"give the export a new dataset in [{self.export.section}]",
            ) from error

    def _grow_single_table(self) -> None:
        single = self.table(_SINGLE)
        query(
            self.db,
            f"CREATE TABLE IF NOT EXISTS {single} ({PERIOD_COLUMN} VARCHAR, {LOAD_COLUMN} VARCHAR)",
        )
        present = self._tables()[_SINGLE]
        for column in self.registry().values():
            if column.name not in present:
                query(
                    self.db,
                    f"ALTER TABLE {single} ADD COLUMN {identifier(column.name)} {column.type}",
                )

    def _registered(
        self, table: str, present: Mapping[str, str], registry: Mapping[str, StoredColumn]
    ) -> str:
        """Return SQL that reads a table as ``billing`` shows it."""
        cells = [
            identifier(column.name)
            if column.name in present
            else f"CAST(NULL AS {column.type}) AS {identifier(column.name)}"
            for column in registry.values()
        ]
        return f"SELECT {', '.join([PERIOD_COLUMN, *cells, LOAD_COLUMN])} FROM {self.table(table)}"

    def _tables(self) -> dict[str, dict[str, str]]:
        """Return the columns of every table, and their types, by one look at the catalog."""
        rows = query(
            self.db,
            "SELECT table_name, column_name, data_type FROM duckdb_columns()"
            " WHERE schema_name = ? ORDER BY table_name",
            [self.export.dataset],
        )
        tables: dict[str, dict[str, str]] = {}
        for table, column, kind in rows:
            tables.setdefault(table, {})[column] = kind
        return tables

    def _tables_in_use(self) -> dict[str, dict[str, str]]:
        """Return the tables that hold current loads, oldest first, as far as they are there."""
        wanted = {table_of(period) for period in current_loads(self.db, self.export.dataset)}
        if self.export.table_strategy == "single":
            wanted = {_SINGLE}
        return {table: columns for table, columns in self._tables().items() if table in wanted}


def stored_exports(db: Connection, name: str | None = None) -> list[Export]:
    """Return the exports that the store holds, or the one called ``name``.

    Raises:
        ConfigError: none is called so.
    """
    rows = query(
        db, "SELECT vendor, export, dataset, table_strategy FROM finops.exports ORDER BY 3"
    )
    exports = [
        Export(vendor, export, vendor, dataset=dataset, table_strategy=strategy)
        for vendor, export, dataset, strategy in rows
    ]
    called = [export for export in exports if export.is_called(name)]
    if name and not called:
        known = ", ".join(export.source for export in exports) or "none"
        raise ConfigError(f"no export is called {name!r}", do=f"loaded are: {known}")
    return called


def _empty(registry: Mapping[str, StoredColumn]) -> str:
    """Return SQL for ``billing`` where no period is loaded."""
    cells = {PERIOD_COLUMN: ColumnType.TEXT}
    cells |= {column.name: column.type for column in registry.values()}
    cells[LOAD_COLUMN] = ColumnType.TEXT
    typed = [f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in cells.items()]
    return f"SELECT {', '.join(typed)} WHERE false"


def table_of(period: BillingPeriod) -> str:
    """Return the name of a period's table in the strategy ``separate``."""
    return f"billing_{period.year:04}_{period.month:02}"


def _named(vendor: str, export: str, shape: str) -> str:
    return f"the {vendor} export {export!r} in the shape {shape}"
