"""Settle what earlier runs left half done: the ledger in the store decides."""

from __future__ import annotations

from finops.faults import crash_point
from finops.run import Run
from finops.state import Attempt, DeliveryState
from finops.store.database import reading
from finops.store.ledger import load_ids

_IN_WORK = frozenset((DeliveryState.DOWNLOADING, DeliveryState.LOADING))


def reconcile_state(run: Run) -> None:
    """Close the attempts of killed runs; begin again those that the ledger does not have.

    Only one run works in the data folder at a time, so whatever is in work was interrupted.
    """
    interrupted = run.state.attempts(states=_IN_WORK)
    if not interrupted:
        return
    loaded: set[str] = set()
    if run.data.database.exists():
        with reading(run.data.database) as db:
            loaded = load_ids(db)
    for attempt in interrupted:
        if load_id(attempt) in loaded:
            run.state.move(attempt, DeliveryState.LOADED)
        else:
            run.state.fail(attempt, "interrupted")
            run.state.discover(attempt.delivery, run.run_id)
    crash_point("reconciled")


def load_id(attempt: Attempt) -> str:
    """Return the id that the attempt's rows and ledger entry carry."""
    return f"{attempt.run_id}-{attempt.id}"
