"""PostgreSQL, by ADBC: rows go over as binary COPY, a period and its ledger in one transaction."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from finops.columns import ColumnType
from finops.config import WarehouseConfig
from finops.errors import (
    AccessError,
    BadDataError,
    ConfigError,
    FinopsError,
    LocalError,
    RefusedError,
    TemporaryError,
    UnavailableError,
)
from finops.faults import crash_point
from finops.period import BillingPeriod
from finops.rows import JSON, PUBLISHED_TIME, Column, Rows
from finops.sql import identifier, literal
from finops.warehouses import LEDGER, LEDGER_COLUMNS, Finding, Publication, Table, Warehouse

_PROBE = "finops_check"
_RELATIONS = """
SELECT class.relname, class.relkind = 'v', attribute.attname,
       format_type(attribute.atttypid, attribute.atttypmod)
FROM pg_class AS class
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
JOIN pg_attribute AS attribute ON attribute.attrelid = class.oid
WHERE namespace.nspname = $1 AND class.relkind IN ('r', 'p', 'v')
      AND attribute.attnum > 0 AND NOT attribute.attisdropped
ORDER BY class.relname, attribute.attnum
"""
# Classes of SQLSTATE, and single ones before their class.
_ERRORS: dict[str, tuple[type[FinopsError], str, str]] = {
    "22021": (BadDataError, "bad-data", "PostgreSQL's text cannot hold the character NUL"),
    "28": (AccessError, "access", "check user and password: PGUSER, PGPASSWORD, ~/.pgpass"),
    "3D000": (ConfigError, "config", "create the database, or name another in uri"),
    "42501": (AccessError, "access", "finops warehouse check NAME tells which right is missing"),
    "2BP01": (RefusedError, "dependent-view", "drop the view, run again, and create it again"),
    "0A000": (RefusedError, "dependent-view", "drop the view, run again, and create it again"),
    "40": (TemporaryError, "try-later", "run again"),
    "55P03": (TemporaryError, "try-later", "run again"),
    "53": (UnavailableError, "unavailable", "make room on the server, then run again"),
}


class PostgresWarehouse(Warehouse):
    """One connection. Datasets are schemas, names are lower case, so none needs quotes.

    Rows are deleted and copied anew: readers are never kept waiting, and grants, views and
    indexes stay. Vacuum takes back the room.
    """

    types: ClassVar[Mapping[str, str]] = {
        ColumnType.TEXT: "text",
        ColumnType.BIGINT: "bigint",
        ColumnType.DOUBLE: "double precision",
        ColumnType.BOOLEAN: "boolean",
        ColumnType.DATE: "date",
        PUBLISHED_TIME: "timestamp with time zone",
        ColumnType.MONEY: "numeric(38,24)",
        JSON: "json",
    }
    column_names = re.compile("(?!(tableoid|xmin|cmin|xmax|cmax|ctid)$)[a-z_][a-z0-9_]*")
    longest_name = 63

    def __init__(self, config: WarehouseConfig, scratch: Path) -> None:
        """Connect; the address and what it lacks are libpq's own."""
        super().__init__(config, scratch)
        self._require_driver()
        self._open = False
        from adbc_driver_postgresql import dbapi

        with self._explained():
            self._connection = dbapi.connect(config.uri or "postgresql://")
        with self._transaction():
            self._execute("SET TimeZone = 'UTC'")

    def close(self) -> None:
        """Close the connection; what was not committed is gone."""
        self._connection.close()

    def identifier(self, *names: str) -> str:
        """Quote names as the standard does."""
        return identifier(*names)

    def spelled(self, name: str) -> str:
        """Return the name that PostgreSQL makes of an unquoted one."""
        return name.lower()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one statement in a transaction of its own."""
        with self._transaction():
            return self._execute(sql)

    def described(self, dataset: str) -> list[tuple[str, bool, str, str]]:
        """Return the columns of all tables and views of a schema."""
        with self._transaction():
            return self._execute(_RELATIONS, [dataset])

    def ledger(self, dataset: str) -> dict[tuple[str, str], Publication]:
        """Return the ledger; empty where none was made yet."""
        return super().ledger(dataset) if LEDGER in self.catalog(dataset) else {}

    def replace(self, table: Table, period: BillingPeriod, rows: Rows, entry: Publication) -> None:
        """Delete and copy in one transaction with the ledger; what it needs is made before.

        New columns and tables are committed first: to add them locks readers out for a moment,
        to copy takes longer.
        """
        with self._transaction():
            self._lock(table)
            columns = self._prepare(table, period, rows)
        part = table.part(period)
        with self._transaction():
            self._lock(table)
            self._execute(f"DELETE FROM {identifier(table.dataset, part)}")
            self._copy(table.dataset, part, rows.with_columns(columns))
            crash_point("rows-sent")
            self.compare(table, period, rows.with_columns(columns))
            self._record(table.dataset, entry)
            crash_point("rows-compared")

    def create_view(self, dataset: str, name: str, sql: str, _columns: Iterable[str]) -> None:
        """Replace a view, which keeps its grants; drop it first only where its columns change."""
        view, note = identifier(dataset, name), f"finops {sha256(sql.encode()).hexdigest()}"
        noted = "SELECT obj_description(to_regclass($1), 'pg_class')"
        with self._transaction():
            if self._execute(noted, [view]) == [(note,)]:
                return
            self._execute("SAVEPOINT before_view")
            try:
                self._execute(f"CREATE OR REPLACE VIEW {view} AS {sql}")
            except self._errors() as error:
                if getattr(error, "sqlstate", None) != "42P16":
                    raise
                self._execute("ROLLBACK TO SAVEPOINT before_view")
                self._execute(f"DROP VIEW {view}")
                self._execute(f"CREATE VIEW {view} AS {sql}")
            self._execute(f"COMMENT ON VIEW {view} IS {literal(note)}")

    def check(self) -> Iterator[Finding]:
        """Log in, look for the schemas, and write a table that is dropped again."""
        ((version, user, database),) = self.query(
            "SELECT current_setting('server_version'), current_user::text, current_database()::text"
        )
        yield Finding("connection", f"PostgreSQL {version}, user {user}, database {database}")
        for schema in dict.fromkeys((self.config.dataset, self.config.focus_dataset)):
            with self._transaction():
                there = self._has_schema(schema)
                self._make_schema(schema)
                table = identifier(schema, _PROBE)
                self._execute(f"CREATE TABLE {table} (amount numeric(38,24))")
                self._execute(f"INSERT INTO {table} VALUES (1)")
                self._execute(f"DROP TABLE {table}")
                if not there:
                    self._execute(f"DROP SCHEMA {identifier(schema)}")
            yield Finding(
                f"schema {schema}",
                "a table was written and removed" + ("" if there else "; the schema can be made"),
            )

    def _prepare(self, table: Table, period: BillingPeriod, rows: Rows) -> tuple[Column, ...]:
        """Make what is missing, and return the columns as they are to be copied."""
        dataset, holding, part = table.dataset, table.holding(period), table.part(period)
        self._make_schema(dataset)
        present = self.catalog(dataset)
        if LEDGER not in present:
            cells = ", ".join(f"{name} {self.types[kind]}" for name, kind in LEDGER_COLUMNS.items())
            self._execute(f"CREATE TABLE {identifier(dataset, LEDGER)} ({cells})")
        there = present[holding].columns if holding in present else {}
        columns = self.columns_for(rows, there)
        if not there:
            self._create_table(table, holding, columns)
        else:
            self._grow(table, holding, there, columns)
        if part not in present and table.partitioned:
            whole, own = identifier(dataset, holding), identifier(dataset, part)
            self._execute(f"CREATE TABLE {own} (LIKE {whole} INCLUDING ALL)")
            # Unlike CREATE … PARTITION OF, this lets readers go on.
            self._execute(f"ALTER TABLE {whole} ATTACH PARTITION {own} FOR VALUES IN ('{period}')")
        return columns

    def _create_table(self, table: Table, name: str, columns: Sequence[Column]) -> None:
        cells = ", ".join(f"{identifier(each.name)} {self.types[each.type]}" for each in columns)
        key = identifier(self.own_name(table.period_column))
        by = f" PARTITION BY LIST ({key})" if table.partitioned else ""
        self._execute(f"CREATE TABLE {identifier(table.dataset, name)} ({cells}){by}")
        self._comment(table.dataset, name, columns)

    def _grow(
        self, table: Table, name: str, there: Mapping[str, str], columns: Sequence[Column]
    ) -> None:
        """Add the columns that the table lacks, and widen those that hold too little."""
        changed = identifier(table.dataset, name)
        added = [each for each in columns if each.name not in there]
        widened = [each for each in columns if there.get(each.name, each.type) != each.type]
        for view in table.views if widened else ():
            self._execute(f"DROP VIEW IF EXISTS {identifier(table.dataset, view)}")
        changes = [f"ADD COLUMN {identifier(each.name)} {self.types[each.type]}" for each in added]
        for each in widened:
            cell, kind = identifier(each.name), self.types[each.type]
            value = self.cast(cell, there[each.name], each.type)
            changes.append(f"ALTER COLUMN {cell} TYPE {kind} USING {value}")
        if changes:
            self._execute(f"ALTER TABLE {changed} {', '.join(changes)}")
            self._comment(table.dataset, name, added)

    def cast(self, value: str, present: str, wanted: str) -> str:
        """Return SQL for a wider type; text is what the store makes of the value."""
        if present == ColumnType.MONEY and wanted == ColumnType.TEXT:
            return f"rtrim(rtrim({value}::text, '0'), '.')"
        if present == PUBLISHED_TIME and wanted == ColumnType.TEXT:
            return f"timezone('UTC', {value})::text"
        if present == ColumnType.DOUBLE and wanted == ColumnType.TEXT:
            return rf"regexp_replace({value}::text, '^-?[0-9]+$', '\&.0')"
        if present == ColumnType.DOUBLE:
            return f"{value}::text::{self.types[wanted]}"
        return f"{value}::{self.types[wanted]}"

    def _comment(self, dataset: str, table: str, columns: Iterable[Column]) -> None:
        for each in columns:
            if each.original != each.name:
                place = identifier(dataset, table, each.name)
                self._execute(f"COMMENT ON COLUMN {place} IS {literal(each.original)}")

    def _copy(self, dataset: str, table: str, rows: Rows) -> None:
        with self._explained(), self._connection.cursor() as cursor:
            cursor.adbc_ingest(table, rows.arrow(), mode="append", db_schema_name=dataset)

    def _record(self, dataset: str, entry: Publication) -> None:
        places = ", ".join(
            f"${position}::{self.types[kind]}"
            for position, kind in enumerate(LEDGER_COLUMNS.values(), 1)
        )
        values = list(astuple(entry))
        self._execute(f"INSERT INTO {identifier(dataset, LEDGER)} VALUES ({places})", values)

    def _make_schema(self, name: str) -> None:
        # IF NOT EXISTS would ask for the right to make schemas, also where nothing is made.
        if not self._has_schema(name):
            self._execute(f"CREATE SCHEMA {identifier(name)}")

    def _has_schema(self, name: str) -> bool:
        return bool(self._execute("SELECT 1 FROM pg_namespace WHERE nspname = $1", [name]))

    def _lock(self, table: Table) -> None:
        """Let one publisher of a table go on at a time."""
        key = f"finops {table.dataset}.{table.name}"
        self._execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))::text", [key])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit what happens inside, or nothing of it; inside another it is part of that."""
        if self._open:
            yield
            return
        self._open = True
        try:
            with self._explained():
                yield
                self._connection.commit()
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._open = False

    def _roll_back(self) -> None:
        """Undo; where the connection is gone, the server has done so."""
        with suppress(*self._errors()):
            self._connection.rollback()

    def _execute(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, list(values) or None)
            return list(cursor.fetchall()) if cursor.description else []

    @staticmethod
    def _errors() -> tuple[type[Exception], ...]:
        from adbc_driver_manager import Error

        return (Error,)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Translate the driver's errors once."""
        try:
            yield
        except self._errors() as error:
            raise _from_driver(error) from error

    @staticmethod
    def _require_driver() -> None:
        if find_spec("adbc_driver_postgresql") is None or find_spec("pyarrow") is None:
            raise LocalError(
                "publishing to PostgreSQL needs its driver",
                code="missing-extra",
                do="pip install 'open-finops[postgres]'",
            )


connect = PostgresWarehouse


def _from_driver(error: Any) -> FinopsError:
    state = getattr(error, "sqlstate", None) or ""
    text = re.sub(r"^\w+: (\[libpq\] )?", "", str(error)).strip()
    what = f"PostgreSQL: {' '.join(text.split())}"
    for prefix, (kind, code, do) in _ERRORS.items():
        if state and state.startswith(prefix):
            return kind(what, code=code, do=do)
    if "authentication" in what or "no password" in what or "pg_hba" in what:
        return AccessError(what, do=_ERRORS["28"][2])
    if "does not exist" in what and not state:
        return ConfigError(what, do="check database and user in uri, PGDATABASE, PGUSER")
    return UnavailableError(what, do="check uri, network and server, then run again")
