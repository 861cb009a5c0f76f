"""Commands that answer from the store."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import duckdb

from finops.cli.load import configured
from finops.cli.output import SCHEMA_VERSION, Output
from finops.cli.tabular import Write, write_csv, write_json
from finops.datadir import DataDir
from finops.errors import LocalError, UsageError
from finops.sql import Connection, identifier, interruptible, query
from finops.store.database import reading

_BATCH = 10_000
_TABLE_ROWS = 1_000
_FORMATS = {".csv": "csv", ".json": "json", ".parquet": "parquet"}
_PLAIN = ("VARCHAR", "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMP", "INTEGER", "JSON")


def sql(arguments: argparse.Namespace, output: Output) -> int:
    """``sql``: one read-only statement, as a table, CSV, JSON or Parquet."""
    target = Path(arguments.output).absolute() if arguments.output else None
    form = arguments.format or _usual_format(target, output)
    if form == "parquet" and target is None:
        raise UsageError("Parquet needs a file", do="add --output FILE")
    if form == "table" and target is not None:
        raise UsageError("a table is for the screen", do="use csv, json or parquet")
    if arguments.raw and form != "csv":
        raise UsageError("--raw is for CSV", do="leave it out: other formats are never altered")
    statement = _only_statement(arguments.statement)
    write = write_json if form == "json" else partial(write_csv, raw=arguments.raw)
    data = configured(arguments).data
    if target:
        _write_file(data, statement, None if form == "parquet" else write, target)
        output.answer({"written": str(target)})
        output.say(f"written to {arguments.output}")
        return 0
    with reading(data) as db:
        titles, batches = _run(db, statement)
        if form == "table":
            _show_table(titles, batches, output)
        elif form == "json" and output.json and not arguments.format:
            sys.stdout.write(f'{{"schema_version": {SCHEMA_VERSION}, "rows": ')
            write_json(titles, batches, sys.stdout)
            print("}")
        else:
            write(titles, batches, sys.stdout)
    return 0


def _usual_format(target: Path | None, output: Output) -> str:
    if target:
        return _FORMATS.get(target.suffix.lower(), "csv")
    return "json" if output.json else "table"


def _only_statement(given: str) -> str:
    """Return the one statement; its bytes are UTF-8, whatever the locale says of them."""
    text = sys.stdin.read() if given == "-" else given
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    try:
        statements = duckdb.extract_statements(text)
    except duckdb.Error as error:
        raise _refused(error) from error
    if len(statements) != 1:
        raise UsageError(
            f"{len(statements)} statements where one is expected", code="sql", do="run one by one"
        )
    return statements[0].query.strip().rstrip(";")


def _refused(error: duckdb.Error) -> UsageError | LocalError:
    if isinstance(error, duckdb.IOException | duckdb.OutOfMemoryException):
        return LocalError(str(error).splitlines()[0], code="database", do="check space and memory")
    message = str(error).strip()
    outside = "disabled by configuration" in message or "read-only" in message
    return UsageError(
        message,
        code="sql",
        do="open the database in DuckDB itself to write, or to join with files"
        if outside
        else None,
    )


def _write_file(data: DataDir, statement: str, write: Write | None, target: Path) -> None:
    """Write beside the target and rename, so that the file is whole or not there.

    Without ``write`` DuckDB writes Parquet itself.
    """
    if not target.parent.is_dir():
        raise LocalError(
            f"the folder {target.parent} does not exist", code="no-folder", do="make it first"
        )
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".finops-") as scratch:
        part = Path(scratch, "result")
        with reading(data, allowed_folder=Path(scratch)) as db:
            if write is None:
                try:
                    query(db, f"COPY ({statement}\n) TO ? (FORMAT parquet)", [str(part)])
                except duckdb.Error as error:
                    raise _refused(error) from error
            else:
                titles, batches = _run(db, statement)
                with part.open("w", encoding="utf-8", newline="") as file:
                    write(titles, batches, file)
        part.replace(target)


def _show_table(titles: list[str], batches: Iterator[Sequence[Any]], output: Output) -> None:
    rows = list(islice(chain.from_iterable(batches), _TABLE_ROWS + 1))
    output.records(titles, rows[:_TABLE_ROWS])
    if len(rows) > _TABLE_ROWS:
        output.say(f"only the first {_TABLE_ROWS:,} rows are shown; --format csv gives all")


def _run(db: Connection, statement: str) -> tuple[list[str], Iterator[Sequence[Any]]]:
    """Run a statement; return its titles, no two alike, and its rows in batches."""
    try:
        with interruptible():
            result = db.execute(_readable(db, statement))
    except duckdb.Error as error:
        raise _refused(error) from error
    return [column[0] for column in result.description or ()], _batches(result)


def _readable(db: Connection, statement: str) -> str:
    """Return the statement so that Python can hold its result, and no title hides another.

    What Python has no exact type for (times with zone, intervals, bytes, lists, structs) comes
    as DuckDB writes it.
    """
    try:
        columns = query(db, f"DESCRIBE {statement}")
    except duckdb.Error:
        return statement
    names = [row[0].lower() for row in columns]
    if all(_is_plain(row[1]) for row in columns) and len(set(names)) == len(names):
        return statement
    cells = []
    for position, (title, kind, *_) in enumerate(columns):
        again = names[:position].count(names[position])
        cell = f"c{position}" if _is_plain(kind) else f"CAST(c{position} AS VARCHAR)"
        cells.append(f"{cell} AS {identifier(f'{title}_{again}' if again else title)}")
    aliases = ", ".join(f"c{position}" for position in range(len(columns)))
    return f"SELECT {', '.join(cells)} FROM ({statement}\n) AS result({aliases})"


def _is_plain(kind: str) -> bool:
    """Tell whether DuckDB hands values of this type to Python whole and exact."""
    return kind in _PLAIN or kind.endswith("INT") or kind.startswith(("DECIMAL", "MAP(VARCHAR, "))


def _batches(result: Connection) -> Iterator[Sequence[Any]]:
    try:
        with interruptible():
            while rows := result.fetchmany(_BATCH):
                yield rows
    except duckdb.Error as error:
        raise _refused(error) from error
