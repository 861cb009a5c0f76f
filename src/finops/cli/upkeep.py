"""Commands that look after what is loaded: status, verify, history, rollback, forget, rebuild."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from finops.cli.load import configured, ended_with, show_results
from finops.cli.output import (
    Output,
    display_path,
    file_document,
    period_text,
)
from finops.config import Export
from finops.errors import FinopsError, RefusedError, UsageError
from finops.focus.overlaps import overlap_lines
from finops.money import amount, money
from finops.period import BillingPeriod
from finops.run import Run, end_run, start_run
from finops.steps.reconcile_state import reconcile_state
from finops.store.database import reading
from finops.store.dataset import stored_exports
from finops.upkeep import forget as forgetting
from finops.upkeep import history as histories
from finops.upkeep import rebuild as rebuilding
from finops.upkeep import rollback as rolling_back
from finops.upkeep import status as statuses
from finops.upkeep import verify as verifying
from finops.upkeep.history import HistoricLoad
from finops.upkeep.status import ExportStatus
from finops.upkeep.verify import Finding

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_VERDICTS = {True: "ok", False: "FAILED", None: "note"}


def status(arguments: argparse.Namespace, output: Output) -> int:
    """``status``: what is loaded and how old it is; 1 if that is older than ``--max-age``."""
    age = _age(arguments.max_age) if arguments.max_age else None
    now = datetime.now(UTC)
    config = configured(arguments)
    found = statuses.status(config.data, arguments.export)
    overlaps = statuses.overlaps_of(config, arguments.export)
    stale = [each.export.name for each in found if age is not None and each.is_stale(age, now)]
    documents = {
        "exports": [_status_document(each) for each in found],
        "stale": stale,
        "overlaps": [each.document for each in overlaps],
    }
    output.answer(documents)
    titles = ("export", "periods", "first", "last", "rows", "newest delivery", "loaded")
    rows = [_status_row(each, now) for each in found]
    output.table(titles, rows, right=("periods", "rows"))
    for each in found:
        for problem in each.problems:
            output.say(f"{each.export.name} {problem}")
    for line in overlap_lines(overlaps):
        output.say(line)
    if not stale and (found or age is None):
        return 0
    error = FinopsError(
        f"no delivery of {', '.join(stale) or 'any export'} is younger than {arguments.max_age}",
        code="stale",
        do="finops doctor; show-state tells what earlier runs met",
    )
    output.error(error)
    return error.exit_code


def verify(arguments: argparse.Namespace, output: Output) -> int:
    """``verify``: the store against its ledger, staging against its hashes."""
    period = BillingPeriod.parse(arguments.period) if arguments.period else None
    findings = verifying.verify(configured(arguments).data, arguments.export, period)
    output.answer({"findings": [_finding_document(each) for each in findings]})
    output.table(
        ("export", "period", "check", "outcome", "detail"),
        [_finding_row(each) for each in findings],
    )
    failed = [finding for finding in findings if finding.ok is False]
    if not failed:
        return 0
    error = RefusedError(
        f"{len(failed)} of {len(findings)} checks failed",
        code="verify-failed",
        kept="nothing was changed",
        do="finops rebuild loads the staged deliveries again",
    )
    output.error(error)
    return error.exit_code


def history(arguments: argparse.Namespace, output: Output) -> int:
    """``history``: every delivery loaded of a period, and what it changed in money."""
    period = BillingPeriod.parse(arguments.period)
    loads = histories.history(configured(arguments).data, period, arguments.export)
    output.answer({"period": str(period), "loads": [_load_document(each) for each in loads]})
    titles = ("export", "loaded", "delivery", "delivered", "rows", "billed cost", "change", "")
    output.table(
        titles, [_load_row(each) for each in loads], right=("rows", "billed cost", "change")
    )
    if not loads:
        output.say(f"{period} was never loaded")
    return 0


def rollback(arguments: argparse.Namespace, output: Output) -> int:
    """``rollback``: load the delivery before the present one again."""
    period = BillingPeriod.parse(arguments.period)
    with _run(arguments, output) as run:
        result = rolling_back.rollback(run, _export_of(run, arguments.export, period), period)
        end_run(run, [result])
    show_results(output, [result], run.notices)
    return 0


def forget(arguments: argparse.Namespace, output: Output) -> int:
    """``forget``: take a period out of the database on purpose."""
    period = BillingPeriod.parse(arguments.period)
    with _run(arguments, output) as run:
        export = _export_of(run, arguments.export, period)
        load = forgetting.forget(run, export, period)
        end_run(run, [])
    output.answer({"export": export.name, "period": str(period), "rows": load.rows})
    output.say(
        f"{export.name} {period}: {load.rows:,} rows dropped; only --force loads the period again"
    )
    return 0


def rebuild(arguments: argparse.Namespace, output: Output) -> int:
    """``rebuild``: the database again, from the deliveries in staging."""
    with _run(arguments, output, set_aside=True) as run:
        results = rebuilding.rebuild(run)
        error = end_run(run, results)
    show_results(output, results, run.notices)
    if not results:
        output.say(f"no complete delivery lies in staging of {display_path(run.data.root)}")
    return ended_with(error, results, output) if error else 0


@contextmanager
def _run(
    arguments: argparse.Namespace, output: Output, *, set_aside: bool = False
) -> Iterator[Run]:
    """Begin a run as the steps do."""
    config = configured(arguments)
    with (
        start_run(
            config,
            arguments.command,
            output.track,
            run_id=output.run_id,
            lock_timeout=arguments.lock_timeout,
        ) as run,
        rebuilding.damaged_store_aside(config) if set_aside else nullcontext() as aside,
    ):
        if aside:
            run.notices.append(f"the damaged database is now {aside.name}")
        reconcile_state(run)
        yield run


def _export_of(run: Run, name: str | None, period: BillingPeriod) -> Export:
    """Return the export that is meant; with several, its name is needed."""
    with reading(run.data) as db:
        exports = stored_exports(db, name)
    if len(exports) == 1:
        return exports[0]
    known = ", ".join(export.name for export in exports)
    raise UsageError(
        f"{period} of which export? loaded are: {known or 'none'}", do="add --export NAME"
    )


def _age(text: str) -> timedelta:
    match = re.fullmatch(r"(\d{1,6})([mhd])", text)
    if match is None:
        raise UsageError(f"{text!r} is not an age", do="write for example 36h, 90m or 2d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _status_row(each: ExportStatus, now: datetime) -> list[Any]:
    at = each.delivered_at
    delivered = at and f"{at:%Y-%m-%d %H:%M}, {_ago(now - at.replace(tzinfo=UTC))}"
    loaded = each.loaded_at and f"{each.loaded_at:%Y-%m-%d %H:%M}"
    first, last = (str(period or "") for period in (each.first, each.last))
    return [each.export.name, each.periods, first, last, f"{each.rows:,}", delivered, loaded]


def _ago(age: timedelta) -> str:
    hours = int(age.total_seconds() // 3600)
    return f"{hours} h ago" if hours < 72 else f"{hours // 24} days ago"


def _status_document(each: ExportStatus) -> dict[str, Any]:
    return {
        "vendor": each.export.vendor,
        "export": each.export.name,
        "dataset": each.export.dataset,
        "periods": each.periods,
        "first": each.first and str(each.first),
        "last": each.last and str(each.last),
        "rows": each.rows,
        "delivered_at": each.delivered_at,
        "loaded_at": each.loaded_at,
        "problems": each.problems,
    }


def _finding_row(finding: Finding) -> list[Any]:
    period = period_text(finding.period)
    return [finding.export, period, finding.check, _VERDICTS[finding.ok], finding.detail]


def _finding_document(finding: Finding) -> dict[str, Any]:
    return {
        "export": finding.export,
        "period": finding.period and str(finding.period),
        "check": finding.check,
        "ok": finding.ok,
        "detail": finding.detail,
    }


def _load_row(each: HistoricLoad) -> list[Any]:
    load = each.load
    return [
        each.export,
        f"{load.loaded_at:%Y-%m-%d %H:%M}",
        load.delivery_id,
        f"{load.delivered_at:%Y-%m-%d %H:%M}",
        f"{load.rows:,}",
        money(load.totals),
        ", ".join(f"{_signed(change)} {code}".strip() for code, change in each.changes.items()),
        "current" if each.is_current else "",
    ]


def _signed(change: Decimal) -> str:
    return amount(change) if change < 0 else f"+{amount(change)}"


def _load_document(each: HistoricLoad) -> dict[str, Any]:
    load = each.load
    return {
        "export": each.export,
        "load_id": load.load_id,
        "delivery_id": load.delivery_id,
        "fingerprint": load.fingerprint,
        "delivered_at": load.delivered_at,
        "loaded_at": load.loaded_at,
        "rows": load.rows,
        "row_change": each.row_change,
        "totals": load.totals,
        "changes": each.changes,
        "current": each.is_current,
        "files": [file_document(file) for file in load.files],
    }
