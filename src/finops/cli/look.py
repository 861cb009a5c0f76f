"""Commands that answer from the store."""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import duckdb

from finops.cli.load import configured
from finops.cli.output import Output, plain_json
from finops.datadir import DataDir
from finops.errors import LocalError, UsageError
from finops.store.database import reading
from finops.store.sql import Connection

_BATCH = 10_000


def sql(arguments: argparse.Namespace, output: Output) -> int:
    """``sql``: one read-only statement, as a table, CSV, JSON or Parquet."""
    form = arguments.format or ("json" if output.json else "table")
    target = Path(arguments.output).absolute() if arguments.output else None
    if form == "parquet" and target is None:
        raise UsageError("Parquet is not for a terminal", do="add --output FILE")
    # The shell's bytes are UTF-8, whatever the locale says of them.
    given = os.fsencode(arguments.statement).decode(errors="replace")
    statement = sys.stdin.read() if given == "-" else given
    data = DataDir(configured(arguments).data_dir)
    with tempfile.TemporaryDirectory(dir=target and _folder(target)) as scratch:
        part = Path(scratch, "result")
        with reading(data.database, allowed_folder=Path(scratch)) as db:
            try:
                _write(db, statement, form, part, output if target is None else None)
            except duckdb.Error as error:
                raise UsageError(str(error).strip(), code="sql") from error
        if target:
            part.replace(target)
            output.say(f"written to {arguments.output}")
    return 0


def _folder(target: Path) -> Path:
    if not target.parent.is_dir():
        raise LocalError(f"the folder {target.parent} does not exist", code="no-folder")
    return target.parent


def _write(db: Connection, statement: str, form: str, part: Path, screen: Output | None) -> None:
    if form == "parquet":
        checked = _one_select(statement)
        db.execute(f"COPY ({checked}) TO ? (FORMAT parquet)", [str(part)]).fetchall()
        return
    result = db.execute(_one_select(statement))
    titles = [column[0] for column in result.description or ()]
    if form == "table" and screen:
        rows = result.fetchall()
        numbers = [t for i, t in enumerate(titles) if rows and _is_number(rows[0][i])]
        screen.json = False
        screen.table(titles, rows, right=numbers)
        return
    with part.open("w", encoding="utf-8", newline="") if screen is None else _Stdout() as file:
        writer = {"csv": _write_csv, "json": _write_json}.get(form, _write_csv)
        writer(result, titles, file)


def _one_select(statement: str) -> str:
    statements = duckdb.extract_statements(statement)
    if len(statements) != 1:
        raise UsageError(f"{len(statements)} statements where one is expected", code="sql")
    return statements[0].query.strip().rstrip(";")


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool | str | bytes) and hasattr(value, "real")


class _Stdout(io.TextIOBase):
    """Stdout as a file that is not closed at the end of a ``with``."""

    def write(self, text: str) -> int:
        return sys.stdout.write(text)


def _write_csv(result: Connection, titles: list[str], file: Any) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(titles)
    while rows := result.fetchmany(_BATCH):
        writer.writerows([_csv_cell(cell) for cell in row] for row in rows)


def _csv_cell(cell: Any) -> Any:
    if isinstance(cell, dict | list):
        return json.dumps(cell, default=plain_json)
    return plain_json(cell) if cell is not None and not isinstance(cell, str) else cell


def _write_json(result: Connection, titles: list[str], file: Any) -> None:
    """Write an array with one object per row, one row per line."""
    separator = "["
    while rows := result.fetchmany(_BATCH):
        for row in rows:
            document = dict(zip(titles, row, strict=True))
            file.write(f"{separator}{json.dumps(document, default=plain_json)}")
            separator = ",\n "
    file.write("]\n" if separator != "[" else "[]\n")
