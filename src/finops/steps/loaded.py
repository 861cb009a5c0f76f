"""What the published store holds of an export, for the steps to compare with and to tell."""

from __future__ import annotations

from finops.config import Export
from finops.datadir import DataDir
from finops.errors import FinopsError
from finops.period import BillingPeriod
from finops.store.database import reading
from finops.store.ledger import Load, current_loads, held

Holds = set[tuple[BillingPeriod, str | None]]


def loaded_periods(data: DataDir, export: Export) -> dict[BillingPeriod, Load]:
    """Return the loads that count now, by period, newest first."""
    if not data.database.exists():
        return {}
    with reading(data) as db:
        return current_loads(db, export.dataset)


def held_deliveries(data: DataDir, export: Export) -> Holds:
    """Return the deliveries and whole periods that are not to be loaded by themselves."""
    if not data.database.exists():
        return set()
    with reading(data) as db:
        return held(db, export.dataset)


def tell_kept(error: FinopsError, load: Load | None) -> None:
    """Add to the error of a failed period what the store still holds of it."""
    error.kept = (
        f"the delivery loaded {load.loaded_at:%Y-%m-%d %H:%M} UTC ({load.rows:,} rows)"
        if load
        else "nothing was loaded for this period before"
    )
