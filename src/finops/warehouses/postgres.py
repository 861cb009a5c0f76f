"""PostgreSQL, by ADBC: rows go over as binary COPY, a period and its ledger in one transaction."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
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
from finops.warehouses import (
    LEDGER,
    LEDGER_COLUMNS,
    Finding,
    Publication,
    Relation,
    RemakeViews,
    Table,
    Warehouse,
    widened_columns,
)

_PROBE = "finops_check"
_LOCK_SECONDS = 5
_CANCELED = "57014"
_OURS = "made by open-finops"
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
_GRANTS = """
SELECT format('GRANT %s ON %I.%I TO %s', privilege_type, table_schema, table_name,
              CASE grantee WHEN 'PUBLIC' THEN grantee ELSE quote_ident(grantee) END)
FROM information_schema.role_table_grants
WHERE table_schema = $1 AND table_name = $2 AND grantee <> grantor
"""
_LOGIN = "check user and password: uri, PGUSER, PGPASSWORD, ~/.pgpass"
_DEPENDENT = ("2BP01", "0A000")
# By SQLSTATE, or by its class.
_ERRORS: dict[str, tuple[type[FinopsError], str]] = {
    "22021": (BadDataError, "PostgreSQL's text cannot hold the character NUL"),
    "28": (AccessError, _LOGIN),
    "3D000": (ConfigError, "create the database, or name another in uri"),
    "23": (BadDataError, "a rule of yours on the table forbids it; drop the rule"),
    "25006": (AccessError, "let the role write: it, or the server, is read-only"),
    "42501": (AccessError, "grant it (docs/warehouses.md), then finops warehouse check NAME"),
    "42": (ConfigError, "see what it says; set another dataset or table if the name is taken"),
    "40": (TemporaryError, "run again"),
    "55P03": (TemporaryError, "somebody reads what must change; run again later"),
    "54": (BadDataError, "1,600 columns are the most; --focus publishes all tags as one column"),
    "53": (UnavailableError, "make room on the server, then run again"),
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

    def replace(
        self,
        table: Table,
        period: BillingPeriod,
        rows: Rows,
        entry: Publication,
        remake_views: RemakeViews,
    ) -> None:
        """Delete and copy in one transaction with the ledger; what it needs is made before.

        New columns and tables are committed first: to add them locks readers out for a moment,
        to copy takes longer.
        """
        with self._changing(table.dataset):
            columns = self._prepare(table, period, rows, remake_views)
        part = table.part(period)
        with self._transaction():
            self._lock(f"{table.dataset}.{table.name}")
            self._execute(f"DELETE FROM {identifier(table.dataset, part)}")
            self._copy(table.dataset, part, rows.with_columns(columns))
            crash_point("rows-sent")
            self.compare(table, period, rows.with_columns(columns))
            self._record(table.dataset, entry)
            crash_point("rows-compared")

    def create_view(self, dataset: str, name: str, sql: str) -> None:
        """Replace a view, which keeps its grants; drop it first only where its columns change."""
        view, note = identifier(dataset, name), f"{_OURS} {sha256(sql.encode()).hexdigest()}"
        with self._changing(dataset):
            if self._note_on(dataset, name) == note:
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

    def holds(self, table: Table, period: BillingPeriod, there: Mapping[str, Relation]) -> bool:
        """Tell whether a period's table or partition is there."""
        return super().holds(table, period, there) and table.part(period) in there

    def _prepare(
        self, table: Table, period: BillingPeriod, rows: Rows, remake_views: RemakeViews
    ) -> tuple[Column, ...]:
        """Make what is missing, and return the columns as they are to be copied."""
        dataset, holding, part = table.dataset, table.holding(period), table.part(period)
        self._make_schema(dataset)
        present = self.catalog(dataset)
        if LEDGER not in present:
            cells = ", ".join(f"{name} {self.types[kind]}" for name, kind in LEDGER_COLUMNS.items())
            self._execute(f"CREATE TABLE {identifier(dataset, LEDGER)} ({cells})")
        for name in {holding, part} & present.keys():
            self._note_on(dataset, name)
        there = present[holding].columns if holding in present else {}
        columns = self.columns_for(rows, there)
        if not there:
            self._create_table(table, holding, columns)
        else:
            with self._without_views(table, there, columns, remake_views):
                self._grow(table.dataset, holding, there, columns)
        if part not in present and table.partitioned:
            whole, own = identifier(dataset, holding), identifier(dataset, part)
            self._execute(f"CREATE TABLE {own} (LIKE {whole} INCLUDING ALL)")
            self._execute(f"COMMENT ON TABLE {own} IS {literal(_OURS)}")
            # Unlike CREATE … PARTITION OF, this lets readers go on.
            self._execute(f"ALTER TABLE {whole} ATTACH PARTITION {own} FOR VALUES IN ('{period}')")
        return columns

    def _create_table(self, table: Table, name: str, columns: Sequence[Column]) -> None:
        cells = ", ".join(f"{identifier(each.name)} {self.types[each.type]}" for each in columns)
        key = identifier(self.own_name(table.period_column))
        by = f" PARTITION BY LIST ({key})" if table.partitioned else ""
        made = identifier(table.dataset, name)
        self._execute(f"CREATE TABLE {made} ({cells}){by}")
        self._execute(f"COMMENT ON TABLE {made} IS {literal(_OURS)}")
        self._comment(table.dataset, name, columns)

    @contextmanager
    def _without_views(
        self,
        table: Table,
        there: Mapping[str, str],
        columns: Sequence[Column],
        remake_views: RemakeViews,
    ) -> Iterator[None]:
        """Take our views away while a type widens, which PostgreSQL wants, and grant them again."""
        if not widened_columns(there, columns):
            yield
            return
        grants = [
            grant
            for view in table.views
            for (grant,) in self._execute(_GRANTS, [table.dataset, view])
        ]
        for view in table.views:
            self._execute(f"DROP VIEW IF EXISTS {identifier(table.dataset, view)}")
        yield
        remake_views()
        for grant in grants:
            self._execute(grant)

    def _grow(
        self, dataset: str, name: str, there: Mapping[str, str], columns: Sequence[Column]
    ) -> None:
        """Add the columns that the table lacks, and widen those that hold too little."""
        changed = identifier(dataset, name)
        added = [each for each in columns if each.name not in there]
        changes = [f"ADD COLUMN {identifier(each.name)} {self.types[each.type]}" for each in added]
        for each in widened_columns(there, columns):
            cell, kind = identifier(each.name), self.types[each.type]
            value = self.cast(cell, there[each.name], each.type)
            changes.append(f"ALTER COLUMN {cell} TYPE {kind} USING {value}")
        if changes:
            self._execute(f"ALTER TABLE {changed} {', '.join(changes)}")
            self._comment(dataset, name, added)

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

    def _note_on(self, dataset: str, name: str) -> str | None:
        """Return the comment of a table or view of ours; None where there is none of that name."""
        ((there, note),) = self._execute(
            "SELECT to_regclass($1) IS NOT NULL, obj_description(to_regclass($1), 'pg_class')",
            [identifier(dataset, name)],
        )
        if there and not str(note).startswith(_OURS):
            self.refuse_foreign(dataset, name)
        return note if there else None

    def _comment(self, dataset: str, table: str, columns: Iterable[Column]) -> None:
        for each in columns:
            if each.original != each.name:
                place = identifier(dataset, table, each.name)
                self._execute(f"COMMENT ON COLUMN {place} IS {literal(each.original)}")

    def _copy(self, dataset: str, table: str, rows: Rows) -> None:
        # A stream that is left open would keep the store from answering anything else.
        with (
            self._explained(),
            closing(rows.arrow()) as stream,
            self._connection.cursor() as cursor,
        ):
            cursor.adbc_ingest(table, stream, mode="append", db_schema_name=dataset)

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

    @contextmanager
    def _changing(self, dataset: str) -> Iterator[None]:
        """Change tables and views of a dataset as its only publisher.

        Whoever reads one of them meanwhile is waited for, and others with us, so not for long.
        """
        with self._transaction():
            self._lock(dataset)
            self._execute(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'")
            yield

    def _lock(self, place: str) -> None:
        """Let one publisher go on at a time."""
        key = f"finops {place}"
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
            if getattr(error, "sqlstate", None) == _CANCELED:  # how the driver says Ctrl-C
                raise KeyboardInterrupt from error
            raise _from_driver(error) from error

    @staticmethod
    def _require_driver() -> None:
        if find_spec("adbc_driver_postgresql") is None or find_spec("pyarrow") is None:
            raise LocalError(
                "publishing to PostgreSQL needs its driver",
                code="missing-extra",
                do="pip install 'open-finops[postgres]'; from a clone"
                " .venv/bin/pip install '.[postgres]'",
            )


connect = PostgresWarehouse


def _from_driver(error: Any) -> FinopsError:
    state = getattr(error, "sqlstate", None) or ""
    text = re.sub(r"^\w+: (\[libpq\] )?", "", str(error)).strip()
    # What follows the first line may be a row of the bill.
    what = f"PostgreSQL: {' '.join(text.partition('DETAIL:')[0].split())}"
    if state in _DEPENDENT:
        do = "drop the view that needs it, run again, and create it again"
        return RefusedError(what, code="dependent-view", do=do)
    for prefix, (kind, do) in _ERRORS.items():
        if state.startswith(prefix):
            return kind(what, do=do)
    # What fails before there is a connection has no SQLSTATE.
    if re.search("authentication|password|pg_hba|role .* does not exist|permi(tted|ssion)", what):
        return AccessError(what, do=_LOGIN)
    if "does not exist" in what:
        return ConfigError(what, do="create the database, or name another in uri or PGDATABASE")
    return UnavailableError(what, do="check uri, network and server, then run again")
