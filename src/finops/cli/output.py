"""What users see: tables and JSON on stdout, messages, progress and errors on stderr."""

from __future__ import annotations

import argparse
import io
import json
import logging
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from shutil import get_terminal_size
from typing import Any

from finops.cli.text import log_line, visible
from finops.config import mask_secrets
from finops.errors import FinopsError
from finops.money import amount
from finops.period import BillingPeriod
from finops.run import Advance, new_run_id
from finops.store.ledger import LoadedFile

SCHEMA_VERSION = 1
_OWN_LOG = "finops"
_PIPE_WIDTH = 250
_NO_LIMIT = 1_000_000

Row = Sequence[Any]


class Output:
    """Prints for one command, as its flags want it."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        """Read the shared flags."""
        self.json = bool(arguments.json)
        self.quiet = bool(arguments.quiet)
        self.verbose = bool(arguments.verbose)
        self.debug = bool(arguments.debug)
        self.json_log = arguments.log_format == "json"
        self.run_id = new_run_id()

    def answer(self, document: Mapping[str, Any]) -> None:
        """Print one JSON object, if JSON is wanted."""
        if self.json:
            print(json.dumps({"schema_version": SCHEMA_VERSION, **document}, default=plain_json))

    def table(
        self,
        titles: Sequence[str],
        rows: Sequence[Row],
        *,
        right: Sequence[str] = (),
        spare: Sequence[str] = (),
    ) -> None:
        """Print a table on stdout, unless JSON is wanted; numbers stand to the right.

        Nothing is ever cut short. A terminal that is too narrow is spared the columns in
        ``spare``; if that is not enough, lines are longer than the terminal.
        """
        if not self.json:
            text = _table_text(titles, rows, right)
            if spare and sys.stdout.isatty() and _width(text) > get_terminal_size().columns:
                kept = [at for at, title in enumerate(titles) if title not in spare]
                narrow = [[row[at] for at in kept] for row in rows]
                text = _table_text([titles[at] for at in kept], narrow, right)
            print(text)

    def records(self, titles: Sequence[str], rows: Sequence[Row]) -> None:
        """Print rows as a table, or one column per line where a table would be too wide."""
        text = _table_text(titles, rows, _number_titles(titles, rows))
        room = get_terminal_size().columns if sys.stdout.isatty() else _PIPE_WIDTH
        if len(titles) <= room and _width(text) <= room:
            print(text)
            return
        longest = max(map(len, titles))
        for number, row in enumerate(rows, 1):
            print(f"─ row {number} " + "─" * (longest + 10))
            for title, cell in zip(titles, row, strict=True):
                print(f"{visible(title):<{longest}}  {visible(show(cell))}")

    def line(self, text: str = "") -> None:
        """Print a line of the answer, unless JSON is wanted."""
        if not self.json:
            print(visible(text))

    def say(self, text: str, event: str = "message") -> None:
        """Tell something on stderr."""
        if not self.quiet:
            self._write(visible(mask_secrets(text)), "info", event, text=text)

    def _write(self, shown: str, level: str, event: str, **fields: object) -> None:
        """Write a line on stderr: as people read it, or as one JSON object.

        In one piece, for the threads of a download speak as well.
        """
        line = log_line(level, event, self.run_id, fields) if self.json_log else shown
        sys.stderr.write(f"{line}\n")

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While a command runs, write what its steps log, and the warnings of libraries."""
        listener, root = _Listener(self), logging.getLogger()
        root.addHandler(listener)
        logging.getLogger(_OWN_LOG).setLevel(logging.INFO)
        logging.captureWarnings(True)
        try:
            yield
        finally:
            logging.captureWarnings(False)
            root.removeHandler(listener)

    def record(self, record: logging.LogRecord) -> None:
        """Write what was logged: steps' events where they are asked for, others' warnings."""
        event, level = record.getMessage(), record.levelname.lower()
        if record.name != _OWN_LOG:
            self.say(event, "warning")
        elif self.verbose or (self.json_log and not self.quiet):
            fields: dict[str, object] = vars(record)["fields"]
            shown = ", ".join(f"{name} {plain_json(value)}" for name, value in fields.items())
            self._write(visible(mask_secrets(f"{event}: {shown}")), level, event, **fields)

    @contextmanager
    def track(self, description: str, total: int) -> Iterator[Advance]:
        """Show a progress bar while a person is looking."""
        if self.quiet or self.json or self.json_log or not sys.stderr.isatty():
            yield lambda _amount: None
            return
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(visible(description), total=total)
            yield lambda amount: progress.advance(task, amount)

    def error(self, error: FinopsError, subject: str = "") -> None:
        """Print one error block on stderr."""
        trace = "".join(traceback.format_exception(error)) if self.debug else ""
        if self.json_log:
            details = {"subject": subject, **error_document(error), "traceback": trace}
            self._write(
                "", "error", "error", **{name: text for name, text in details.items() if text}
            )
            return
        head = f"error[{error.code}]" + (f" {subject}" if subject else "")
        parts = {head: error.what, "  where": error.where, "  kept": error.kept, "  do": error.do}
        for name, text in parts.items():
            # Lines after the first are indented: what came from a bill cannot pose as an error.
            lines = [visible(mask_secrets(line)) for line in (text or "").splitlines()]
            if lines:
                print(visible(name) + ": " + "\n    ".join(lines), file=sys.stderr)
        for line in trace.splitlines():
            print(f"    {visible(mask_secrets(line))}", file=sys.stderr)

    def fail(self, error: FinopsError) -> int:
        """Report the error that ends a command and return its exit code."""
        self.answer({"error": error_document(error)})
        self.error(error)
        return error.exit_code

    def interrupted(self) -> int:
        """Report a Ctrl-C."""
        text = "interrupted: what was loaded before stays; run again to go on"
        self._write(text, "error", "interrupted", text=text)
        return 130


class _Listener(logging.Handler):
    """Hands on what is logged; of libraries no more than warnings, whatever their level."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == _OWN_LOG or record.levelno >= logging.WARNING:
            self._output.record(record)


def error_document(error: FinopsError) -> dict[str, Any]:
    """Return an error as JSON shows it."""
    parts = {
        "code": error.code,
        "what": error.what,
        "where": error.where,
        "kept": error.kept,
        "do": error.do,
    }
    return {name: text and mask_secrets(text) for name, text in parts.items()} | {
        "exit_code": error.exit_code
    }


def file_document(file: LoadedFile) -> dict[str, Any]:
    """Return a data file of the ledger as JSON shows it."""
    return {"key": file.key, "bytes": file.size, "etag": file.etag, "sha256": file.sha256}


def plain_json(value: Any) -> Any:
    """Turn a value into what JSON has: money and periods as text, never as float."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)


def show(value: Any) -> str:
    """Return a cell's text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return amount(value)
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, dict | list):
        return json.dumps(value, default=plain_json, ensure_ascii=False)
    return str(value)


def size(count: int) -> str:
    """Write a number of bytes as people read it."""
    scaled = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if scaled < 1000:
            return f"{scaled:.0f} {unit}" if unit == "B" else f"{scaled:.1f} {unit}"
        scaled /= 1000
    return f"{scaled:.1f} TB"


def period_text(period: BillingPeriod | None) -> str:
    """Write a period, or what stands for all of an export."""
    return str(period) if period else "(all)"


def display_path(path: Path) -> str:
    """Write a path as one would type it from here."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _table_text(titles: Sequence[str], rows: Sequence[Row], right: Sequence[str]) -> str:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for title in titles:
        table.add_column(
            Text(visible(title)), justify="right" if title in right else "left", no_wrap=True
        )
    for row in rows:
        table.add_row(*(Text(visible(show(cell))) for cell in row))
    written = io.StringIO()
    Console(file=written, width=_NO_LIMIT, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in written.getvalue().splitlines())


def _width(text: str) -> int:
    return max(map(len, text.splitlines()), default=0)


def _number_titles(titles: Sequence[str], rows: Sequence[Row]) -> list[str]:
    first = rows[0] if rows else ()
    return [
        title
        for title, cell in zip(titles, first, strict=False)
        if isinstance(cell, int | float | Decimal) and not isinstance(cell, bool)
    ]
