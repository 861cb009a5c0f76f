"""``report``: what was spent on what, as a table, CSV or JSON."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from finops.answers.report import METRICS, Question, Report
from finops.answers.report import report as answer
from finops.cli.load import configured
from finops.cli.output import Output
from finops.cli.tabular import write_csv
from finops.money import amount, money
from finops.store.database import reading


def report(arguments: argparse.Namespace, output: Output) -> int:
    """``report``: the rows, and in every format what is needed to read them."""
    if arguments.format:
        output.json = arguments.format == "json"
    question = Question(
        arguments.name, arguments.period, arguments.metric, arguments.by, arguments.export
    )
    config = configured(arguments)
    with reading(config.data) as db:
        found = answer(db, question, config.overlaps)
    output.answer(document(found))
    if arguments.format == "csv":
        write_csv(
            found.columns, [[list(row.values()) for row in found.rows]], sys.stdout, raw=False
        )
        for note in notes(found):
            output.say(note)
    else:
        show(found, output)
    return 0


def show(found: Report, output: Output, most: int | None = None) -> None:
    """Show an answer as a table with its notes, or the first rows of it."""
    numbers = found.columns[found.columns.index("BillingCurrency") + 1 :]
    rows = [[_cell(*cell) for cell in row.items()] for row in found.rows[:most]]
    output.table(found.columns, rows, right=numbers)
    output.line()
    for note in notes(found):
        output.line(note)


def notes(found: Report) -> list[str]:
    """Return what one must know of the numbers, the totals first."""
    return [f"total: {money(found.totals) or 'nothing'}", *found.notes]


def document(found: Report) -> dict[str, Any]:
    """Return an answer as JSON shows it."""
    return {
        "report": found.name,
        "metric": found.metric,
        "column": METRICS[found.metric][0],
        "meaning": found.meaning,
        "currencies": list(found.totals),
        "totals": found.totals,
        "periods": [
            {
                "vendor": each.vendor,
                "export": each.export,
                "period": str(each.period),
                "final": each.is_final,
                "failed_checks": each.failed_checks,
            }
            for each in found.periods
        ],
        "overlaps": [each.document for each in found.overlaps],
        "rows": found.rows,
    }


def _cell(column: str, value: Any) -> Any:
    """Give changes a sign."""
    if column == "change" and value is not None:
        return f"{'+' if value > 0 else ''}{amount(value)}"
    return f"{value:+.1f}" if column == "change_percent" and value is not None else value
