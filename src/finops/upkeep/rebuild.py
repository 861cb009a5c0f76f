"""``rebuild``: make the store again from the deliveries in staging."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from finops.config import Export
from finops.datadir import DataDir
from finops.delivery import Delivery
from finops.errors import FinopsError, LocalError
from finops.run import PeriodResult, Run
from finops.steps.load_billing_local import load_billing_local
from finops.steps.loaded import loaded_periods
from finops.store.database import discard_clone, reading
from finops.store.dataset import stored_exports
from finops.upkeep.staged import restage, staged_deliveries


def set_damaged_store_aside(data: DataDir) -> Path | None:
    """Rename a store that cannot be opened, and return its new name."""
    try:
        if data.database.exists():
            with reading(data) as db:
                stored_exports(db)
    except LocalError as error:
        if error.code != "database":
            raise
        aside = data.database.with_suffix(f".damaged-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
        data.database.rename(aside)
        discard_clone(data)
        return aside
    return None


def rebuild(run: Run, exports: Sequence[Export]) -> list[PeriodResult]:
    """Load again from staging what counts now, or the newest of each period in a new store.

    Nothing is asked of the vendor. A loaded period that staging lost stays as it is.
    """
    results = [
        failed
        for export in exports
        for delivery in _chosen(run, export)
        if (failed := _restaged(run, delivery))
    ]
    return results + load_billing_local(run, exports)


def _chosen(run: Run, export: Export) -> list[Delivery]:
    loaded = loaded_periods(run.data, export)
    staged: dict[object, Delivery] = {}
    for delivery in staged_deliveries(run.data, export):
        load = loaded.get(delivery.period)
        if not loaded or (load and load.fingerprint == delivery.fingerprint):
            staged.setdefault(delivery.period, delivery)
    for period in loaded.keys() - staged.keys():
        run.notice(export, period, "is not in staging any more and stays as it is")
    return list(staged.values())


def _restaged(run: Run, delivery: Delivery) -> PeriodResult | None:
    try:
        restage(run, delivery)
    except FinopsError as error:
        return PeriodResult.failed(delivery, error)
    return None
