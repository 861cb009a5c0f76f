"""JSON lines as CSV, which has one reader: every cell as it was written, numbers digit by digit.

A record becomes columns with dotted names where that is wanted, and JSON text otherwise; a list
is JSON text. What a line does not name is empty.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from finops.errors import BadDataError


class _Number(str):
    """A number as it was written; a float would lose digits."""

    __slots__ = ()


def write_csv(lines: Iterable[str], names: Sequence[str], to: Path, *, flat: bool) -> None:
    """Write the records of ``lines`` under a header of ``names``."""
    # What is no UTF-8 stays none, and is found where the CSV is read.
    with to.open("w", encoding="utf-8", errors="surrogatepass", newline="") as file:
        writer = csv.DictWriter(file, names, restval="", lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(_records(lines, "", flat=flat))


def column_names(lines: Iterable[str], key: str, *, flat: bool) -> list[str]:
    """Return the columns of all records in the order in which they come up.

    Raises:
        BadDataError: a line is no JSON object, or names something twice.
    """
    names: dict[str, None] = {}
    for record in _records(lines, key, flat=flat):
        names |= dict.fromkeys(record)
    return list(names)


def _records(lines: Iterable[str], key: str, *, flat: bool) -> Iterator[dict[str, str]]:
    for number, line in enumerate(lines, 1):
        try:
            if line.strip():
                yield _unique([(name, _cell(value)) for name, value in _fields(line, flat=flat)])
        except (ValueError, TypeError, RecursionError) as error:
            raise BadDataError(
                f"the line is no JSON object: {error}",
                code="bad-file",
                where=f"{key}, line {number}",
                do="see what wrote this file; each line is one object",
            ) from error


def _fields(line: str, *, flat: bool) -> Iterator[tuple[str, Any]]:
    record = json.loads(
        line,
        parse_float=_Number,
        parse_int=_Number,
        parse_constant=_refuse,
        object_pairs_hook=_unique,
    )
    if not isinstance(record, dict):
        raise TypeError("it is something else")
    return _leaves("", record) if flat else iter(record.items())


def _leaves(prefix: str, record: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        if isinstance(value, dict):
            yield from _leaves(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", value


def _cell(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else _text(value)


def _text(value: Any) -> str:
    """Write JSON again with its numbers as they were."""
    if isinstance(value, _Number):
        return value
    if isinstance(value, dict):
        fields = (f"{_text(name)}: {_text(each)}" for name, each in value.items())
        return f"{{{', '.join(fields)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands there twice")
    return found


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no number")
