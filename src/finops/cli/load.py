"""The vendors' commands: each runs a step, or all of them, and shows what became of it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from finops import pipeline
from finops.cli.named_files import of_files
from finops.cli.output import Output, display_path, error_document, period_text, size
from finops.cli.parser import EXPORT_FLAGS, PROJECT_FLAGS
from finops.config import Config, Export, load_config
from finops.datadir import DataDir
from finops.errors import ConfigError, FinopsError
from finops.money import money
from finops.run import Outcome, PeriodResult, Run, end_run, failure_of, start_run
from finops.state import Attempt, Published, State
from finops.steps.discover_manifests import compare_with_store
from finops.steps.discover_manifests import discover_manifests as discover
from finops.steps.export_parquet import export_parquet as export_to
from finops.steps.extract_billing import extract_billing as stage
from finops.steps.extract_manifests import extract_manifests as copy_manifests
from finops.steps.found_exports import list_strays
from finops.steps.load_billing_local import load_billing_local as load
from finops.steps.load_billing_remote import load_billing_remote as publish
from finops.steps.loaded import loaded_periods
from finops.steps.published import published_twice
from finops.steps.reconcile_state import reconcile_state
from finops.warehouses import connect

EXPORTED = "exported as loaded"
PUBLISHED = "published as loaded"
_TITLES = ("export", "period", "outcome", "delivery", "files", "size", "rows", "billed cost")
_NUMBERS = ("files", "size", "rows", "billed cost")
_ATTEMPT_TITLES = ("export", "billing_month", "state", "reason", "manifest_id", "updated_at")
_PUBLISHED_TITLES = (
    "warehouse",
    "table_name",
    "export",
    "billing_month",
    "state",
    "row_count",
    "reason",
    "updated_at",
)
_RUN_TITLES = ("run_id", "command", "started_at", "exit_code", "outcome")


def configured(arguments: argparse.Namespace) -> Config:
    """Read the configuration with this command's flags on top."""
    flags = {
        key.name: getattr(arguments, key.name, None) for key in (*EXPORT_FLAGS, *PROJECT_FLAGS)
    }
    flags |= {name: getattr(arguments, name, None) for name in ("vendor", "files", "data_dir")}
    name = getattr(arguments, "export", None)
    flags["export"] = name and name.removeprefix(f"{flags['vendor']}/")
    file = Path(arguments.config) if arguments.config else None
    return load_config(file, os.environ, flags)


def import_billing(arguments: argparse.Namespace, output: Output) -> int:
    """``import-cur``: all steps."""
    if arguments.dry_run:
        return list_manifests(arguments, output)
    return _run_step(
        arguments,
        output,
        lambda run, exports: pipeline.import_billing(run, exports, force=arguments.force),
    )


def discover_manifests(arguments: argparse.Namespace, output: Output) -> int:
    """``discover-manifests``: queue new deliveries."""
    return _run_step(
        arguments, output, _each(lambda run, export: discover(run, export, force=arguments.force))
    )


def extract_manifests(arguments: argparse.Namespace, output: Output) -> int:
    """``extract-manifests``: copy manifests to staging."""
    return _run_step(arguments, output, _each(copy_manifests))


def extract_billing(arguments: argparse.Namespace, output: Output) -> int:
    """``extract-billing``: download and verify data files."""
    return _run_step(arguments, output, _each(stage))


def load_billing_local(arguments: argparse.Namespace, output: Output) -> int:
    """``load-billing-local``: load what is staged."""
    return _run_step(arguments, output, load)


def export_parquet(arguments: argparse.Namespace, output: Output) -> int:
    """``export-parquet``: one file per loaded period."""
    return _run_step(
        arguments,
        output,
        _each(lambda run, export: export_to(run, export, arguments.out, force=arguments.force)),
        EXPORTED,
    )


def load_billing_remote(arguments: argparse.Namespace, output: Output) -> int:
    """``load-billing-remote``: what is loaded, to a warehouse."""
    config = configured(arguments)
    target = config.select_warehouse(arguments.to)

    def publish_all(run: Run, exports: Sequence[Export]) -> list[PeriodResult]:
        with connect(target, config.data.temporary) as warehouse:
            flags = {"focus": arguments.focus, "force": arguments.force}
            step = _each(lambda run, export: publish(run, export, warehouse, **flags))
            results = step(run, exports)
        if arguments.focus:
            run.notices.extend(published_twice(config, arguments.export))
        return results

    return _run_step(arguments, output, publish_all, PUBLISHED)


def list_manifests(arguments: argparse.Namespace, output: Output) -> int:
    """``list-manifests``: what lies in the bucket, and whether it is loaded."""
    config = configured(arguments)
    results = [
        result
        for export in _exports(config, arguments)
        for result in compare_with_store(config, export, force=getattr(arguments, "force", False))
    ]
    show_results(output, results, [])
    if not results:
        output.say("No delivery lies between the two dates.")
    for around, strays in list_strays(_exports(config, arguments)):
        output.say(f"note: not configured in {around.bucket}: {', '.join(strays)}", "notice")
    error = failure_of(results)
    return ended_with(error, results, output) if error else 0


def show_state(arguments: argparse.Namespace, output: Output) -> int:
    """``show-state``: attempts at deliveries, and the latest runs."""
    config = configured(arguments)
    exports, data = config.select_exports(arguments.vendor, arguments.export), config.data
    if not data.state.exists():
        output.answer({"manifests": [], "published": [], "runs": []})
        output.say(f"no run has worked in {display_path(data.root)} yet")
        return 0
    state = State(data.state)
    whose = (arguments.vendor, arguments.export)
    manifests = [_attempt(each) for each in state.attempts(*whose)]
    published = _published(state.published(*whose), data, exports)
    runs = [asdict(run) | {"outcome": run.outcome or "not ended"} for run in state.runs()]
    state.close()
    output.answer({"manifests": manifests, "published": published, "runs": runs})
    _show_columns(output, manifests, _ATTEMPT_TITLES)
    if published:
        output.line()
        _show_columns(output, published, _PUBLISHED_TITLES)
    output.line()
    _show_columns(output, runs, _RUN_TITLES)
    return 0


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "vendor": attempt.delivery.vendor,
        "export": attempt.delivery.export,
        "billing_month": attempt.delivery.period,
        "manifest_id": attempt.delivery.delivery_id,
        "state": attempt.state,
        "reason": attempt.reason,
        "updated_at": attempt.updated_at,
        "path": attempt.path,
    }


def _published(
    noted: Sequence[Published], data: DataDir, exports: Sequence[Export]
) -> list[dict[str, Any]]:
    """Say of what was published whether it is what the store has now."""
    if not noted:
        return []
    loads = {
        (export.name, str(period)): load.load_id
        for export in exports
        for period, load in loaded_periods(data, export).items()
    }
    documents = [asdict(each) for each in noted]
    for each in documents:
        loaded = loads.get((each["export"], each["billing_month"]))
        if each["state"] == "published" and loaded != each["load_id"]:
            each["state"] = "outdated"
    return documents


def _show_columns(
    output: Output, documents: Sequence[Mapping[str, Any]], titles: Sequence[str]
) -> None:
    output.table(titles, [[document[title] for title in titles] for document in documents])


Step = Callable[[Run, Sequence[Export]], list[PeriodResult]]


def _each(step: Callable[[Run, Export], list[PeriodResult]]) -> Step:
    """Turn a step over one export into a step over several; one that fails stops no other."""

    def attempt(run: Run, export: Export, *, alone: bool) -> list[PeriodResult]:
        try:
            return step(run, export)
        except FinopsError as error:
            if alone:
                raise
            return [PeriodResult(export.vendor, export.name, None, Outcome.FAILED, error=error)]

    return lambda run, exports: [
        result for export in exports for result in attempt(run, export, alone=len(exports) == 1)
    ]


def _run_step(
    arguments: argparse.Namespace, output: Output, step: Step, wanted: str = "loaded as delivered"
) -> int:
    config = configured(arguments)
    command = f"{arguments.vendor} {arguments.command}"
    exports = _exports(config, arguments)
    return run_step(arguments, output, config, command, lambda run: step(run, exports), wanted)


def run_step(  # noqa: PLR0913, PLR0917 - what every step is run with
    arguments: argparse.Namespace,
    output: Output,
    config: Config,
    command: str,
    step: Callable[[Run], list[PeriodResult]],
    wanted: str,
) -> int:
    """Run a step under the lock, and show what became of every period.

    ``wanted`` is how a period is called that needs nothing done.
    """
    with start_run(
        config,
        command,
        output.track,
        run_id=output.run_id,
        lock_timeout=arguments.lock_timeout,
        allow_shrink=getattr(arguments, "allow_shrink", False),
        strict=getattr(arguments, "strict", False),
    ) as run:
        # What an earlier run left half done is settled first: the store's ledger decides.
        reconcile_state(run)
        results = step(run)
        error = end_run(run, results)
    show_results(output, results, run.notices)
    if error:
        return ended_with(error, results, output)
    if all(result.outcome in (Outcome.UNCHANGED, Outcome.HELD) for result in results):
        output.say(_nothing_done(results, wanted))
    return 0


def ended_with(error: FinopsError, results: Sequence[PeriodResult], output: Output) -> int:
    """Say how many failed, where the periods' own errors do not say it already."""
    if error not in [result.error for result in results]:
        output.error(error)
    return error.exit_code


def _nothing_done(results: Sequence[PeriodResult], wanted: str) -> str:
    held = sum(result.outcome == Outcome.HELD for result in results)
    if held:
        return f"Nothing new: {held} of {len(results)} billing periods are held back on purpose."
    if len(results) == 1:
        return f"Nothing new: the billing period is {wanted}."
    if results:
        return f"Nothing new: all {len(results)} billing periods are {wanted}."
    return "Nothing to do: no delivery waits for this step, or none lies between the dates."


def _exports(config: Config, arguments: argparse.Namespace) -> list[Export]:
    exports = config.select_exports(arguments.vendor, arguments.export)
    if not exports:
        raise ConfigError(f"no {arguments.vendor} export is configured")
    files = getattr(arguments, "files", None)
    return [of_files(exports[0], files)] if files else exports


def show_results(
    output: Output, results: Sequence[PeriodResult], notices: Sequence[str], **more: object
) -> None:
    """Show what became of each period; ``more`` goes into the JSON answer beside it."""
    documents = [_document(result) for result in results]
    output.answer({"results": documents, "notices": notices, **more})
    if results:
        is_mixed = len({result.vendor for result in results}) > 1
        rows = [[each.source if is_mixed else each.export, *_row(each)] for each in results]
        output.table(_TITLES, rows, right=_NUMBERS, spare=("delivery", "files", "size"))
    for notice in notices:
        output.say(f"note: {notice}", "notice")
    for result in results:
        if result.error:
            output.error(result.error, f"{result.export} {period_text(result.period)}")


def _row(result: PeriodResult) -> list[Any]:
    rows = "" if result.rows is None else f"{result.rows:,}"
    return [
        period_text(result.period),
        result.outcome,
        result.delivery_id,
        result.files or "",
        size(result.bytes) if result.bytes else "",
        rows,
        money(result.totals),
    ]


def _document(result: PeriodResult) -> dict[str, Any]:
    return {
        "vendor": result.vendor,
        "export": result.export,
        "period": result.period and str(result.period),
        "outcome": result.outcome,
        "delivery_id": result.delivery_id,
        "files": result.files,
        "bytes": result.bytes,
        "rows": result.rows,
        "totals": {code: format(total, "f") for code, total in result.totals.items()},
        "error": result.error and error_document(result.error),
    }
