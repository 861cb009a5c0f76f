"""The few lines through which all SQL passes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

import duckdb

Connection = duckdb.DuckDBPyConnection
Row = tuple[Any, ...]


def identifier(*names: str) -> str:
    """Quote a name, or a dotted path of names, for use in SQL."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def literal(text: str) -> str:
    """Quote a text for SQL that is kept as text: a view, or what a vendor puts together."""
    return "'" + text.replace("'", "''") + "'"


def query(
    db: Connection, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
) -> list[Row]:
    """Run one statement with bound values (by position or name) and return all its rows."""
    values = dict(parameters) if isinstance(parameters, Mapping) else list(parameters)
    with interruptible():
        return db.execute(sql, values).fetchall()


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn DuckDB's word for Ctrl-C into Python's."""
    try:
        yield
    except RuntimeError as error:
        if "interrupt" in str(error).lower():
            raise KeyboardInterrupt from error
        raise


def run_script(db: Connection, name: str) -> None:
    """Run a ``.sql`` file of the package, statement by statement."""
    run_statements(db, files("finops").joinpath(name).read_text("utf-8"))


def run_statements(db: Connection, script: str) -> None:
    """Run a script, statement by statement."""
    for statement in duckdb.extract_statements(script):
        with interruptible():
            db.execute(statement).fetchall()


def script_statements(name: str) -> list[str]:
    """Return the statements of a ``.sql`` file of the package, to be run with bound values."""
    text = files("finops").joinpath(name).read_text("utf-8")
    return [statement.query for statement in duckdb.extract_statements(text)]
