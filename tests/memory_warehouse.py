"""A warehouse in this process: what ``Warehouse`` asks for, in as few lines as that takes.

A database lives as long as the process, by the name that ``uri`` gives it.
"""

import re
from collections import defaultdict

import duckdb

from finops.columns import ColumnType
from finops.rows import JSON, PUBLISHED_TIME
from finops.sql import identifier
from finops.warehouses import LEDGER, LEDGER_COLUMNS, Finding, Warehouse

DATABASES = defaultdict(duckdb.connect)
_LEFT_OUT = {ColumnType.TIMESTAMP, ColumnType.TEXT_MAP, ColumnType.MONEY_MAP}
_KINDS = (*(set(ColumnType) - _LEFT_OUT), PUBLISHED_TIME, JSON)
_RELATIONS = """
SELECT table_name, table_name IN (SELECT view_name FROM duckdb_views()), column_name, data_type
FROM duckdb_columns() WHERE schema_name = ? ORDER BY table_name, column_index
"""


class MemoryWarehouse(Warehouse):
    types = {str(kind): str(kind) for kind in _KINDS}  # noqa: RUF012 - as the others have it
    column_names = re.compile("[A-Za-z_][A-Za-z0-9_]*")
    longest_name = 100

    def __init__(self, config, scratch):
        super().__init__(config, scratch)
        self._db = DATABASES[config.uri].cursor()
        self._db.execute("SET TimeZone = 'UTC'")

    def close(self):
        self._db.close()

    def identifier(self, *names):
        return identifier(*names)

    def query(self, sql):
        # By Arrow: DuckDB itself asks for pytz where a time has a zone.
        found = self._db.sql(sql)
        columns = found.to_arrow_table().columns if found else ()
        return list(zip(*(column.to_pylist() for column in columns), strict=True))

    def described(self, dataset):
        return self._db.execute(_RELATIONS, [dataset]).fetchall()

    def ledger(self, dataset):
        return super().ledger(dataset) if LEDGER in self.catalog(dataset) else {}

    def replace(self, table, period, rows, entry, _remake_views):
        self.query("BEGIN")
        try:
            rows = self._prepare(table, period, rows)
            own, key = identifier(table.dataset, table.holding(period)), table.period_column
            self.query(f"DELETE FROM {own} WHERE {key} = '{period}'")
            self._db.register("arriving", rows.arrow())
            self.query(f"INSERT INTO {own} BY NAME FROM arriving")
            self.compare(table, period, rows)
            values = [getattr(entry, name) for name in LEDGER_COLUMNS]
            places = ", ".join("?" * len(values))
            ledger = identifier(table.dataset, LEDGER)
            self._db.execute(f"INSERT INTO {ledger} VALUES ({places})", values)
        except BaseException:
            self.query("ROLLBACK")
            raise
        self.query("COMMIT")

    def create_view(self, dataset, name, sql):
        self.query(f"CREATE OR REPLACE VIEW {identifier(dataset, name)} AS {sql}")

    def check(self):
        ((version,),) = self.query("SELECT version()")
        yield Finding("connection", version)

    def cast(self, value, present, wanted):
        if present == ColumnType.MONEY and wanted == ColumnType.TEXT:
            return f"rtrim(rtrim({value}::VARCHAR, '0'), '.')"
        if present == PUBLISHED_TIME and wanted == ColumnType.TEXT:
            return f"timezone('UTC', {value})::VARCHAR"
        value = f"{value}::VARCHAR" if present == ColumnType.DOUBLE else value
        return f"{value}::{self.types[wanted]}"

    def _prepare(self, table, period, rows):
        self.query(f"CREATE SCHEMA IF NOT EXISTS {identifier(table.dataset)}")
        cells = ", ".join(f"{name} {kind}" for name, kind in LEDGER_COLUMNS.items())
        self.query(f"CREATE TABLE IF NOT EXISTS {identifier(table.dataset, LEDGER)} ({cells})")
        holding = table.holding(period)
        relation = self.catalog(table.dataset).get(holding)
        there = relation.columns if relation else {}
        columns, own = self.columns_for(rows, there), identifier(table.dataset, holding)
        if not there:
            cells = ", ".join(f"{identifier(each.name)} {each.type}" for each in columns)
            self.query(f"CREATE TABLE {own} ({cells})")
        for each in columns if there else ():
            name, present = identifier(each.name), there.get(each.name)
            if not present:
                self.query(f"ALTER TABLE {own} ADD COLUMN {name} {each.type}")
            elif present != each.type:
                value = self.cast(name, present, each.type)
                self.query(f"ALTER TABLE {own} ALTER {name} TYPE {each.type} USING {value}")
        return rows.with_columns(columns)


connect = MemoryWarehouse
