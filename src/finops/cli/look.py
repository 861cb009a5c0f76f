"""Commands that answer from the store."""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import duckdb

from finops.cli.load import configured
from finops.cli.output import Output, plain_json
from finops.datadir import DataDir
from finops.errors import LocalError, UsageError
from finops.store.database import reading
from finops.store.sql import Connection, query

_BATCH = 10_000
_FORMATS = {".csv": "csv", ".json": "json", ".parquet": "parquet"}


def sql(arguments: argparse.Namespace, output: Output) -> int:
    """``sql``: one read-only statement, as a table, CSV, JSON or Parquet."""
    target = Path(arguments.output).absolute() if arguments.output else None
    form = arguments.format or _usual_format(target, output)
    if (form == "parquet") > (target is not None) or (form == "table") > (target is None):
        raise UsageError(
            f"the format {form} is for {'a file' if target is None else 'the screen'}",
            do="add --output FILE" if target is None else "use csv, json or parquet",
        )
    # The shell's bytes are UTF-8, whatever the locale says of them.
    given = os.fsencode(arguments.statement).decode(errors="replace")
    statement = _only_statement(sys.stdin.read() if given == "-" else given)
    data = DataDir(configured(arguments).data_dir)
    if target is None:
        with reading(data.database) as db:
            _show(db, statement, form, output)
    else:
        _write_file(data, statement, form, target)
        output.say(f"written to {arguments.output}")
    return 0


def _usual_format(target: Path | None, output: Output) -> str:
    if target:
        return _FORMATS.get(target.suffix.lower(), "csv")
    return "json" if output.json else "table"


def _only_statement(text: str) -> str:
    try:
        statements = duckdb.extract_statements(text)
    except duckdb.Error as error:
        raise _refused(error) from error
    if len(statements) != 1:
        raise UsageError(f"{len(statements)} statements where one is expected", code="sql")
    return statements[0].query.strip().rstrip(";")


def _refused(error: duckdb.Error) -> UsageError:
    return UsageError(str(error).strip(), code="sql")


def _write_file(data: DataDir, statement: str, form: str, target: Path) -> None:
    """Write beside the target and rename, so that the file is whole or not there."""
    if not target.parent.is_dir():
        raise LocalError(f"the folder {target.parent} does not exist", code="no-folder")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".finops-") as scratch:
        part = Path(scratch, "result")
        with reading(data.database, allowed_folder=Path(scratch)) as db:
            if form == "parquet":
                try:
                    query(db, f"COPY ({statement}) TO ? (FORMAT parquet)", [str(part)])
                except duckdb.Error as error:
                    raise _refused(error) from error
            else:
                with part.open("w", encoding="utf-8", newline="") as file:
                    _write(db, statement, form, file)
        part.replace(target)


def _show(db: Connection, statement: str, form: str, output: Output) -> None:
    if form != "table":
        _write(db, statement, form, sys.stdout)
        return
    titles, batches = _run(db, statement)
    rows = [row for batch in batches for row in batch]
    numbers = [
        title for position, title in enumerate(titles) if rows and _is_number(rows[0][position])
    ]
    output.json = False
    output.table(titles, rows, right=numbers)


def _run(db: Connection, statement: str) -> tuple[list[str], Iterator[Sequence[Any]]]:
    """Run a statement; names that come twice get a number, so that none hides another."""
    try:
        result = db.execute(statement)
    except duckdb.Error as error:
        raise _refused(error) from error
    titles: list[str] = []
    for column in result.description or ():
        same = sum(title.rpartition(":")[0] == column[0] for title in titles)
        again = column[0] in titles
        titles.append(f"{column[0]}:{same + 1}" if again else column[0])
    return titles, _batches(result)


def _batches(result: Connection) -> Iterator[Sequence[Any]]:
    try:
        while rows := result.fetchmany(_BATCH):
            yield rows
    except duckdb.Error as error:
        raise _refused(error) from error


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool | str | bytes) and hasattr(value, "real")


def _write(db: Connection, statement: str, form: str, file: TextIO) -> None:
    titles, batches = _run(db, statement)
    (_write_json if form == "json" else _write_csv)(titles, batches, file)


def _write_csv(titles: list[str], batches: Iterator[Sequence[Any]], file: TextIO) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(titles)
    for rows in batches:
        writer.writerows([_csv_cell(cell) for cell in row] for row in rows)


def _csv_cell(cell: Any) -> Any:
    if isinstance(cell, dict | list):
        return json.dumps(_json_value(cell), default=plain_json)
    return plain_json(cell) if cell is not None and not isinstance(cell, str) else cell


def _write_json(titles: list[str], batches: Iterator[Sequence[Any]], file: TextIO) -> None:
    """Write an array with one object per row, one row per line."""
    separator = "["
    for rows in batches:
        for row in rows:
            document = _json_value(dict(zip(titles, row, strict=True)))
            file.write(f"{separator}{json.dumps(document, default=plain_json)}")
            separator = ",\n "
    file.write("]\n" if separator != "[" else "[]\n")


def _json_value(value: Any) -> Any:
    """Return a value that JSON can hold: its keys are text, and it has no NaN."""
    if isinstance(value, dict):
        return {str(key): _json_value(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(inner) for inner in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
