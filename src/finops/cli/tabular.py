"""Rows as CSV that no spreadsheet runs, and as JSON; both exact, and in batches."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, TextIO

from finops.cli.output import plain_json

Batches = Iterable[Sequence[Any]]
Write = Callable[[Sequence[str], Batches, TextIO], None]
# What a spreadsheet would run, in any width, where a plain number is not meant.
_FORMULA = re.compile(r"[\s\ufeff]*(?:[=+@\-\uff1d\uff0b\uff0d\uff20]|(?<=[\t\r]))")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")


def write_csv(titles: Sequence[str], batches: Batches, file: TextIO, *, raw: bool) -> None:
    """Write rows; unless ``raw``, text that a spreadsheet would run gets a ``'`` before it."""
    # Before Python 3.13 a line break is quoted only if the writer ends its own lines with it.
    writer = csv.writer(_UnixLines(file), lineterminator="\r\n")
    shown = _csv_cell if raw else _harmless_cell
    writer.writerow(map(shown, titles))
    for rows in batches:
        writer.writerows(map(shown, row) for row in rows)


def _csv_cell(cell: Any) -> Any:
    if isinstance(cell, dict | list):
        return json.dumps(_json_value(cell), default=plain_json)
    return plain_json(cell) if cell is not None and not isinstance(cell, str) else cell


class _UnixLines:
    """Takes rows that end in CR LF and writes them with LF."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, row: str) -> None:
        self._file.write(f"{row[:-2]}\n")


def _harmless_cell(cell: Any) -> Any:
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return _csv_cell(cell)


def write_json(titles: Sequence[str], batches: Batches, file: TextIO) -> None:
    """Write an array with one object per row, one row per line."""
    separator = "["
    for row in chain.from_iterable(batches):
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
