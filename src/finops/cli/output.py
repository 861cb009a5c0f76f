"""What users see: tables and JSON on stdout, messages, progress and errors on stderr."""

from __future__ import annotations

import argparse
import io
import json
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from shutil import get_terminal_size
from typing import Any

from finops.cli.text import visible
from finops.config import mask_secrets
from finops.errors import FinopsError
from finops.period import BillingPeriod
from finops.run import Advance

SCHEMA_VERSION = 1
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

    def say(self, text: str) -> None:
        """Tell something on stderr."""
        if not self.quiet:
            print(visible(text), file=sys.stderr)

    @contextmanager
    def track(self, description: str, total: int) -> Iterator[Advance]:
        """Show a progress bar while a person is looking; in a pipe a line if ``-v`` asks for it."""
        if self.verbose:
            self.say(f"{description}, {size(total)}")
        if self.quiet or self.json or not sys.stderr.isatty():
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
        head = f"error[{error.code}]" + (f" {subject}" if subject else "")
        parts = {head: error.what, "  where": error.where, "  kept": error.kept, "  do": error.do}
        for name, text in parts.items():
            # Lines after the first are indented: what came from a bill cannot pose as an error.
            lines = [visible(mask_secrets(line)) for line in (text or "").splitlines()]
            if lines:
                print(visible(name) + ": " + "\n    ".join(lines), file=sys.stderr)
        if self.debug:
            traceback.print_exception(error)

    def fail(self, error: FinopsError) -> int:
        """Report the error that ends a command and return its exit code."""
        self.answer({"error": error_document(error)})
        self.error(error)
        return error.exit_code

    def interrupted(self) -> int:
        """Report a Ctrl-C."""
        print("interrupted: what was loaded before stays; run again to go on", file=sys.stderr)
        return 130


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


def amount(value: Decimal) -> str:
    """Write money exactly: all its digits, but no zeros behind the last of them."""
    text = format(value, ",f")
    whole, point, part = text.partition(".")
    return whole + (point + part.rstrip("0").ljust(2, "0") if point else "")


def money(totals: Mapping[str, Decimal]) -> str:
    """Write totals per currency; two currencies are never added."""
    return ", ".join(f"{amount(total)} {currency}".strip() for currency, total in totals.items())


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
