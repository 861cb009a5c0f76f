"""Settle what earlier runs left half done: the ledger in the store decides."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from finops.config import Export
from finops.faults import crash_point
from finops.period import BillingPeriod
from finops.run import Run
from finops.state import CRASH_LIMIT, CRASHED, Attempt, DeliveryState
from finops.store.database import (
    discard_clone,
    is_outdated,
    published_loads,
    unpublished_loads,
    writing,
)

_IN_WORK = frozenset((DeliveryState.DOWNLOADING, DeliveryState.LOADING))
_LOADING = frozenset((DeliveryState.LOADING,))
_INTERRUPTED = "interrupted"


def reconcile_state(run: Run) -> None:
    """Publish what a killed run had committed, and begin again what it had not.

    Only one run works in the data folder at a time, so whatever is in work was interrupted.
    A store of an older schema is migrated.
    """
    if committed := unpublished_loads(run.data):
        run.notices.append(f"published {len(committed)} loads that a killed run had committed")
    if committed or is_outdated(run.data):
        with writing(run.data):
            pass
    discard_clone(run.data)
    mark_published(run)
    interrupted = run.state.attempts(states=_IN_WORK)
    culprit = _culprit(run, interrupted)
    for attempt in interrupted:
        run.state.fail(attempt, CRASHED if attempt is culprit else _INTERRUPTED)
        if run.state.crashes(attempt.delivery) < CRASH_LIMIT:
            run.state.discover(attempt.delivery, run.run_id)
    crash_point("reconciled")


def mark_published(run: Run) -> None:
    """Note what the published ledger has as loaded; older staged deliveries may go."""
    loading = run.state.attempts(states=_LOADING)
    published = published_loads(run.data) if loading else set()
    for attempt in loading:
        if load_id(attempt) in published:
            run.state.move(attempt, DeliveryState.LOADED)
            crash_point("marked-loaded")
            run.log("published", attempt.delivery)
            _prune_staging(run, attempt)
            crash_point("pruned")


def remove_staged(run: Run, export: Export, period: BillingPeriod) -> None:
    """Remove all staged deliveries of a period that is dropped on purpose."""
    _remove(run, run.data.staged_period(export.vendor, export.name, period))


def load_id(attempt: Attempt) -> str:
    """Return the id that the attempt's rows and ledger entry carry."""
    return f"{attempt.run_id}-{attempt.id}"


def _culprit(run: Run, interrupted: Sequence[Attempt]) -> Attempt | None:
    """Return the attempt whose load was under way when the run before was killed."""
    loads = [attempt for attempt in interrupted if attempt.state == DeliveryState.LOADING]
    if not loads or not run.state.last_run_was_killed():
        return None
    return max(loads, key=lambda attempt: attempt.updated_at)


def _prune_staging(run: Run, attempt: Attempt) -> None:
    """Keep the newest ``keep_deliveries`` of the period; their names sort by delivery time."""
    delivery = attempt.delivery
    place = run.data.staged_period(delivery.vendor, delivery.export, delivery.period)
    for folder in sorted(place.glob("*"), reverse=True)[run.config.keep_deliveries :]:
        if folder != attempt.path:
            _remove(run, folder)


def _remove(run: Run, folder: Path) -> None:
    run.state.forget_files(folder)
    shutil.rmtree(folder, ignore_errors=True)
