"""``discover-manifests``: find deliveries in the bucket and queue those that are new."""

from __future__ import annotations

from dataclasses import replace

from finops.config import Export
from finops.datadir import DataDir
from finops.delivery import Delivery, FailedDelivery
from finops.faults import crash_point
from finops.run import Outcome, PeriodResult, Run
from finops.steps.list_manifests import list_manifests
from finops.steps.loaded import loaded_periods, tell_kept
from finops.store.ledger import Load


def discover_manifests(run: Run, export: Export, *, force: bool = False) -> list[PeriodResult]:
    """Queue every delivery whose fingerprint is not the loaded one, newest period first.

    With ``force`` unchanged deliveries are queued as well.
    """
    loaded = loaded_periods(run.data, export)
    results = []
    for found in list_manifests(export):
        result = _compare(found, loaded.get(found.period), force=force)
        if isinstance(found, Delivery) and result.outcome == Outcome.UNCHANGED:
            run.state.supersede(found)
        elif isinstance(found, Delivery):
            run.state.discover(found, run.run_id)
            crash_point("discovered")
            for notice in found.notices:
                run.notice(export, found.period, notice)
        results.append(result)
    return results


def compare_with_store(data: DataDir, export: Export, *, force: bool = False) -> list[PeriodResult]:
    """Say what ``discover_manifests`` would find, and record nothing."""
    loaded = loaded_periods(data, export)
    return [
        _compare(found, loaded.get(found.period), force=force) for found in list_manifests(export)
    ]


def _compare(found: Delivery | FailedDelivery, loaded: Load | None, *, force: bool) -> PeriodResult:
    if isinstance(found, FailedDelivery):
        tell_kept(found.error, loaded)
        return PeriodResult.failed(found, found.error)
    if force or loaded is None or loaded.fingerprint != found.fingerprint:
        return PeriodResult.of(found, Outcome.DISCOVERED)
    unchanged = PeriodResult.of(found, Outcome.UNCHANGED)
    return replace(unchanged, rows=loaded.rows, totals=loaded.totals)
