"""The database and the reports in a notebook: what ``finops.open()`` returns."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from decimal import Decimal
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any

import duckdb

from finops.answers.report import Question, Report, report
from finops.config import Config, load_config
from finops.errors import FinopsError, LocalError
from finops.store.database import reading


class Answer(Report):
    """A report that a notebook shows as a table."""

    def df(self) -> Any:
        """Return the rows as a pandas DataFrame, costs as ``Decimal``.

        Raises:
            LocalError: pandas is not installed.
        """
        try:
            pandas = import_module("pandas")
        except ImportError as error:
            what, do = "pandas is not installed", "pip install pandas"
            raise LocalError(what, code="missing-extra", do=do) from error
        return pandas.DataFrame(self.rows, columns=list(self.columns))

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(column)}</th>" for column in self.columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(_text(cell))}</td>" for cell in row.values()) + "</tr>"
            for row in self.rows
        )
        notes = "<br>".join(map(escape, self.notes))
        return f"<table><tr>{head}</tr>{body}</table><p>{notes}</p>"


class Store:
    """The database, open for reading only; no file and no network is reached from it."""

    def __init__(self, config: Config) -> None:
        """Open the configured database."""
        self._open = ExitStack()
        self._db = self._open.enter_context(reading(config.data))
        self._overlaps = config.overlaps

    def sql(self, query: str, /, **values: Any) -> duckdb.DuckDBPyRelation:
        """Ask in SQL, with ``values`` bound to ``$name``; ``fetchall()`` or ``df()`` gives rows."""
        return self._db.sql(query, params=values)

    def report(
        self,
        name: str,
        period: str | None = None,
        metric: str = "billed",
        by: str | None = None,
        export: str | None = None,
    ) -> Answer:
        """Answer as ``finops report`` does: ``services``, ``accounts`` or ``months``.

        Raises:
            FinopsError: the question has no answer; the error says why, and what to do.
        """
        with _advised():
            found = report(self._db, Question(name, period, metric, by, export), self._overlaps)
        return Answer(*(getattr(found, each.name) for each in fields(found)))

    def close(self) -> None:
        """Close the database; what was fetched stays."""
        self._open.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def open_store(path: str | os.PathLike[str] | None) -> Store:
    """Open the database of a configuration file, of a data folder, or of where we are."""
    place = Path(path).expanduser() if path else None
    file = place if place and place.suffix == ".toml" else None
    flags = {"data_dir": str(place)} if place and not file else {}
    with _advised():
        return Store(load_config(file, os.environ, flags))


@contextmanager
def _advised() -> Iterator[None]:
    """Let a traceback show what to do, as the command line does."""
    try:
        yield
    except FinopsError as error:
        if error.do:
            error.add_note(f"do: {error.do}")
        raise


def _text(cell: Any) -> str:
    """Write a cell: all digits of a cost, but no zeros behind the last of them."""
    if isinstance(cell, Decimal):
        return f"{cell:,f}".rstrip("0").rstrip(".")
    return "" if cell is None else str(cell)
