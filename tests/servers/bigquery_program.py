"""Run local-bigquery with a DuckDB that has no network. Its environment's Python runs this.

The emulator asks for DuckDB 2.0 and downloads ``ducklake`` and ``spatial``. Here a wheel brings
the first, which exists for 1.5.5 only, and nothing needs the second: it is for geography.

The emulator knows no partition decorators. Here a load into ``table$202401`` is of that month.
It takes loads that BigQuery refuses: JSON from Parquet, and a column in another type, which it
casts. It keeps the descriptions of a table that a load replaces; here they are those of the load.
"""

import contextlib
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import duckdb
import duckdb_extension_ducklake
from local_bigquery.catalog import names, tables
from local_bigquery.cli import main
from local_bigquery.engine import database, types
from local_bigquery.errors import BigQueryError
from local_bigquery.jobs import load
from local_bigquery.sql import dialect
from local_bigquery.sql.rules import information_schema, typing
from sqlglot import exp, parse_one

(DUCKLAKE,) = Path(duckdb_extension_ducklake.__file__).parent.glob(
    f"extensions/v{duckdb.__version__}/ducklake.duckdb_extension"
)
# BigQuery keeps 38 decimals. The emulator keeps 18 of 38 digits, and money has 24.
BIGNUMERIC = "DECIMAL(38, 24)"

_connect = duckdb.connect


def connect(*arguments, config=None, **options):
    """Open a database that needs no download; as a setting, ``TimeZone`` would ask for one."""
    settings = dict(config or {})
    zone = settings.pop("TimeZone", "UTC")
    connection = _connect(*arguments, config=settings, **options)
    connection.execute(f"LOAD '{DUCKLAKE}'")
    connection.execute(f"SET GLOBAL TimeZone = '{zone}'")
    return connection


def undecorated(destination):
    """Return project, dataset and table of a load's destination, without its partition."""
    *dataset, table = tables.reference(destination)
    return *dataset, table.partition("$")[0]


def write(cursor, query, params, reference, config, default, prefix):
    """Write what a load read, and tell whether its schema is now that of the table."""
    named = (config.schema_ and config.schema_.fields) or []
    if config.sourceFormat == "PARQUET" and any(field.type == "JSON" for field in named):
        raise BigQueryError("invalid", "Unsupported field type: JSON")
    month = config.destinationTable.tableId.partition("$")[2]
    truncate = config.writeDisposition == "WRITE_TRUNCATE"
    if named and (month or not truncate) and tables.exists(*reference):
        refuse_other_types(cursor.sql(query), reference, prefix)
    arguments = cursor, query, params, reference
    if not month:
        return tables.write(*arguments, config, default, prefix=prefix) or truncate
    its_rows = refuse_other_months(cursor, query, reference, month)
    append = config.replace(writeDisposition="WRITE_APPEND")
    with database.writing(*reference, "months"), transaction(cursor):
        if truncate:
            cursor.execute(f"DELETE FROM {tables.name(*reference)} WHERE {its_rows}")
        return tables.write(*arguments, append, prefix=prefix)


def refuse_other_types(relation, reference, prefix):
    """Refuse a column of a load that the table has with another type."""
    known = {field.name.casefold(): field.type for field in tables.columns(*reference)}
    for column, kind in zip(relation.columns, relation.types, strict=True):
        before, now = known.get(column.casefold()), types.field(column, kind).type
        if before not in (None, now):
            change = f"Field {column} has changed type from {before} to {now}"
            raise BigQueryError("invalid", f"{prefix}{change}")


def refuse_other_months(cursor, query, reference, month):
    """Refuse rows of a load that are not of its month; return the condition for those that are."""
    label = f"{names.label(*reference)}${month}"
    layout = tables.load(*reference).timePartitioning
    if not (layout and layout.type == "MONTH" and layout.field and re.fullmatch(r"\d{6}", month)):
        raise BigQueryError("invalid", f"No partition of a month of a column: {label}")
    its_rows = f"strftime({database.quote(layout.field)}, '%Y%m') = '{month}'"
    if cursor.sql(f"SELECT 1 FROM ({query}) WHERE ({its_rows}) IS NOT TRUE LIMIT 1").fetchall():
        message = "Some rows belong to different partitions rather than destination partition"
        raise BigQueryError("invalid", f"{message} {label}")
    return its_rows


def listed(columns, rows):
    """Give a view of ``INFORMATION_SCHEMA`` as one literal; a node for each cell takes a second."""
    table = exp.Literal.string(json.dumps([[bare(cell) for cell in row] for row in rows]))
    rows = parse_one(f"SELECT unnest(CAST({table.sql('duckdb')} AS JSON[])) AS v", dialect="duckdb")
    specs = [column.partition(" ") for column in columns]
    cells = [parse_one(f"v ->> {place}", dialect="duckdb") for place in range(len(specs))]
    return exp.select(
        *(
            exp.alias_(exp.cast(cell, kind or "STRING", dialect="bigquery"), name)
            for cell, (name, _, kind) in zip(cells, specs, strict=True)
        )
    ).from_(rows.subquery("t"))


def bare(cell):
    """Return what a cell of SQL says as JSON would."""
    if isinstance(cell, exp.Cast):
        return bare(cell.this)
    if isinstance(cell, exp.Expression):
        return None if isinstance(cell, exp.Null) else cell.to_py()
    return cell


@contextlib.contextmanager
def transaction(cursor):
    """Keep all that the block does, or nothing."""
    cursor.execute("BEGIN TRANSACTION")
    try:
        yield
    except BaseException:
        cursor.execute("ROLLBACK")
        raise
    cursor.execute("COMMIT")


if __name__ == "__main__":
    duckdb.connect = connect
    dialect.FUNCTIONS[:] = [file for file in dialect.FUNCTIONS if file.stem != "geography"]
    types.TO_DUCKDB.update(BIGNUMERIC=BIGNUMERIC, BIGDECIMAL=BIGNUMERIC)
    typing.DECIMALS[typing.Type.BIGDECIMAL] = BIGNUMERIC
    load.tables = SimpleNamespace(**vars(tables) | {"reference": undecorated, "write": write})
    information_schema._values = listed
    main(["serve", *sys.argv[1:]])
