"""``discover-manifests``: find deliveries in the bucket and queue those that are new."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta

from finops.config import Config, Export
from finops.delivery import Delivery, FailedDelivery
from finops.errors import BadDataError
from finops.faults import crash_point
from finops.run import Outcome, PeriodResult, Run
from finops.state import CRASH_LIMIT
from finops.steps.list_manifests import list_manifests
from finops.steps.loaded import Holds, held_deliveries, loaded_periods, tell_kept
from finops.store.ledger import Load


def discover_manifests(run: Run, export: Export, *, force: bool = False) -> list[PeriodResult]:
    """Queue every delivery whose fingerprint is not the loaded one, newest period first.

    With ``force`` unchanged, held and crashing deliveries are queued as well.
    """
    return [
        _queue(run, export, found, result, force=force)
        for found, result in _compared(run.config, export, run, force=force)
    ]


def compare_with_store(
    config: Config, export: Export, *, force: bool = False
) -> list[PeriodResult]:
    """Say what ``discover_manifests`` would find, and record nothing."""
    return [result for _, result in _compared(config, export, force=force)]


def _compared(
    config: Config, export: Export, run: Run | None = None, *, force: bool
) -> list[tuple[Delivery | FailedDelivery, PeriodResult]]:
    """Compare what lies in the bucket, as far as ``keep_periods`` wants it, with the store."""
    loaded, holds = loaded_periods(config.data, export), held_deliveries(config.data, export)
    found = list_manifests(config.data, export, run)
    newest = max([*loaded, *(each.period for each in found)], default=None)
    return [
        (each, _compare(each, loaded.get(each.period), holds, force=force))
        for each in (_after(each, loaded.get(each.period)) for each in found)
        if newest and config.keeps(each.period, newest)
    ]


def _after(found: Delivery | FailedDelivery, loaded: Load | None) -> Delivery | FailedDelivery:
    """Let what replaces a load be later than it, whatever copying did to the times of files."""
    if isinstance(found, FailedDelivery) or not loaded or loaded.fingerprint == found.fingerprint:
        return found
    later = loaded.delivered_at.replace(tzinfo=UTC) + timedelta(seconds=1)
    return replace(found, delivered_at=max(found.delivered_at, later))


def _compare(
    found: Delivery | FailedDelivery, loaded: Load | None, holds: Holds, *, force: bool
) -> PeriodResult:
    if isinstance(found, FailedDelivery):
        tell_kept(found.error, loaded)
        return PeriodResult.failed(found, found.error)
    if force:
        return PeriodResult.of(found, Outcome.DISCOVERED)
    is_held = not holds.isdisjoint(((found.period, found.fingerprint), (found.period, None)))
    unchanged = loaded is not None and loaded.fingerprint == found.fingerprint
    if not (unchanged or is_held):
        return PeriodResult.of(found, Outcome.DISCOVERED)
    if not loaded or not unchanged:
        return PeriodResult.of(found, Outcome.HELD)
    result = PeriodResult.of(found, Outcome.UNCHANGED)
    return replace(result, rows=loaded.rows, totals=loaded.totals)


def _queue(
    run: Run,
    export: Export,
    found: Delivery | FailedDelivery,
    result: PeriodResult,
    *,
    force: bool,
) -> PeriodResult:
    if isinstance(found, FailedDelivery):
        return result
    if result.outcome != Outcome.DISCOVERED:
        run.state.supersede(found)
        return result
    if not force and run.state.crashes(found) >= CRASH_LIMIT:
        return _crashing(run, export, found)
    run.state.discover(found, run.run_id)
    crash_point("discovered")
    run.log("discovered", found, files=len(found.files), bytes=found.bytes)
    for notice in found.notices:
        run.notice(export, found.period, notice)
    return result


def _crashing(run: Run, export: Export, found: Delivery) -> PeriodResult:
    """Leave out a delivery whose load killed the process again and again: the others go on."""
    error = BadDataError(
        f"loading this delivery killed finops {CRASH_LIMIT} times; memory may be too small",
        code="crashing",
        where=found.manifest_key,
        do="set memory_limit or threads lower, then run again with --force",
    )
    tell_kept(error, loaded_periods(run.data, export).get(found.period))
    return PeriodResult.failed(found, error)
