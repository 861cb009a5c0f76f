"""``rollback``: load the previous delivery of a billing period again."""

from __future__ import annotations

from finops.config import Export
from finops.delivery import Delivery
from finops.errors import LocalError, RefusedError
from finops.period import BillingPeriod
from finops.run import PeriodResult, Run
from finops.steps.load_billing_local import load_staged
from finops.store.database import reading, writing
from finops.store.dataset import Dataset
from finops.store.ledger import Load, current_loads, hold, period_loads
from finops.upkeep.staged import loadable, staged_deliveries


def rollback(run: Run, export: Export, period: BillingPeriod) -> PeriodResult:
    """Replace a period by the delivery that was loaded before the present one.

    The present one is held back from now on: it is loaded again by ``--force`` only, and a
    newer delivery of the vendor replaces both.

    Raises:
        LocalError: the period is not loaded.
        RefusedError: no earlier delivery of it is in staging any more.
    """
    current, previous = _choose(run, export, period)
    staged = loadable(run, previous)
    with writing(run.data, 2 * previous.bytes) as db:
        hold(db, export.dataset, period, current.fingerprint)
        result = load_staged(run, Dataset(db, export), staged, f"{run.run_id}-rollback")
    run.notice(export, period, f"{current.delivery_id} is held back; --force loads it again")
    return result


def _choose(run: Run, export: Export, period: BillingPeriod) -> tuple[Load, Delivery]:
    """Return the load that counts now, and the staged delivery loaded last before it."""
    with reading(run.data) as db:
        current = current_loads(db, export.dataset).get(period)
        loads = period_loads(db, export.dataset, period)
    if current is None:
        raise LocalError(
            f"{period} of {export.name} is not loaded", code="not-loaded", do="finops status"
        )
    staged = {each.fingerprint: each for each in staged_deliveries(run.data, export, period)}
    for load in loads:
        if load.delivered_at < current.delivered_at and load.fingerprint in staged:
            return current, staged[load.fingerprint]
    raise RefusedError(
        f"no earlier delivery of {period} is in staging",
        code="not-staged",
        where=str(run.data.root / "staging" / export.vendor / export.name / str(period)),
        kept=f"the delivery {current.delivery_id}",
        do="keep_deliveries says how many stay; finops history shows what was loaded",
    )
