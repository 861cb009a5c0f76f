"""Commands of the FOCUS dataset: check it, write it for other tools."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from finops.cli.load import EXPORTED, configured, run_step
from finops.cli.output import Output
from finops.errors import LocalError, RefusedError
from finops.focus.checks import Check
from finops.focus.structure import is_recommended
from finops.money import amount
from finops.period import BillingPeriod
from finops.run import PeriodResult, Run
from finops.steps.export_focus import export_focus
from finops.steps.published import charged_exports, published_twice
from finops.upkeep.validate import validate as ask


def validate(arguments: argparse.Namespace, output: Output) -> int:
    """``focus validate``: what breaks a rule, how much money, and where to look."""
    found = ask(configured(arguments).data, arguments.export, _period(arguments))
    output.answer({"checks": [_document(place, check) for place, check in found]})
    broken = [(place, check) for place, check in found if not check.ok]
    titles = ("where", "rule", "rows", "amount", "what it says, and rows to look at")
    output.table(titles, [_row(place, check) for place, check in broken], right=("rows", "amount"))
    rules = len({check.rule for _, check in found})
    failed = {check.rule for _, check in broken if not is_recommended(check)}
    output.say(f"{rules - len({check.rule for _, check in broken})} of {rules} rules hold.")
    if not failed:
        return 0
    error = RefusedError(
        f"{len(failed)} rules are broken",
        code="not-valid",
        kept="nothing was changed",
        do="finops explain ROW shows a row; what the vendor delivered so stays so",
    )
    output.error(error)
    return error.exit_code


def export_parquet(arguments: argparse.Namespace, output: Output) -> int:
    """``focus export-parquet``: one file per period, as another FOCUS tool reads it."""
    config = configured(arguments)
    given = {name: getattr(arguments, name) for name in ("start_date", "end_date")}
    dates: dict[str, Any] = {
        name: BillingPeriod.parse(text) for name, text in given.items() if text
    }

    def write(run: Run) -> list[PeriodResult]:
        written = [
            result
            for export in charged_exports(config, arguments.export)
            for result in export_focus(
                run,
                replace(export, **dates),
                arguments.out,
                arguments.version,
                force=arguments.force,
            )
        ]
        if not written:
            raise LocalError(
                "there are no charges between the dates", code="not-loaded", do="finops status"
            )
        run.notices.extend(published_twice(config, arguments.export))
        return written

    return run_step(arguments, output, config, "focus export-parquet", write, EXPORTED)


def _period(arguments: argparse.Namespace) -> BillingPeriod | None:
    return BillingPeriod.parse(arguments.period) if arguments.period else None


def _row(place: str, check: Check) -> list[Any]:
    total = f"{amount(check.amount)} {check.currency}" if check.amount is not None else ""
    looks = f"{check.says} {', '.join(check.examples)}"
    return [place, check.rule, f"{check.rows:,}", total, looks]


def _document(place: str, check: Check) -> dict[str, Any]:
    return {
        "where": place,
        "rule": check.rule,
        "ok": check.ok,
        "recommended": is_recommended(check),
        "says": check.says,
        "rows": check.rows,
        "amount": check.amount,
        "currency": check.currency,
        "examples": check.examples,
    }
