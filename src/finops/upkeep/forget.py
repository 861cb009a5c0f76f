"""``forget``: take a billing period out of the store and staging, on purpose."""

from __future__ import annotations

from finops.config import Export
from finops.errors import LocalError
from finops.period import BillingPeriod
from finops.run import Run
from finops.steps.reconcile_state import remove_staged
from finops.store.database import reading, writing
from finops.store.dataset import Dataset
from finops.store.ledger import Load, current_loads, hold
from finops.store.replace import transaction


def forget(run: Run, export: Export, period: BillingPeriod) -> Load:
    """Drop a period; the ledger keeps what was loaded, and no run loads it without ``--force``.

    Raises:
        LocalError: the period is not loaded.
    """
    with reading(run.data) as db:
        load = current_loads(db, export.dataset).get(period)
    if load is None:
        raise LocalError(
            f"{period} of {export.name} is not loaded", code="not-loaded", do="finops status"
        )
    with writing(run.data) as db, transaction(db):
        Dataset(db, export).drop_period(period)
        hold(db, export.dataset, period)
    remove_staged(run, export, period)
    return load
