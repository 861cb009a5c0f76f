"""Run local-bigquery with a DuckDB that has no network. Its environment's Python runs this.

The emulator asks for DuckDB 2.0 and downloads ``ducklake`` and ``spatial``. Here a wheel brings
the first, which exists for 1.5.5 only, and nothing needs the second: it is for geography.
"""

import sys
from pathlib import Path

import duckdb
import duckdb_extension_ducklake

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
    database = _connect(*arguments, config=settings, **options)
    database.execute(f"LOAD '{DUCKLAKE}'")
    database.execute(f"SET GLOBAL TimeZone = '{zone}'")
    return database


if __name__ == "__main__":
    duckdb.connect = connect

    from local_bigquery.cli import main
    from local_bigquery.engine import types
    from local_bigquery.sql import dialect
    from local_bigquery.sql.rules import typing

    dialect.FUNCTIONS[:] = [file for file in dialect.FUNCTIONS if file.stem != "geography"]
    types.TO_DUCKDB.update(BIGNUMERIC=BIGNUMERIC, BIGDECIMAL=BIGNUMERIC)
    typing.DECIMALS[typing.Type.BIGDECIMAL] = BIGNUMERIC
    main(["serve", *sys.argv[1:]])
