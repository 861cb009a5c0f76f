"""``history``: every delivery of a billing period that was loaded, and what it changed."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from itertools import zip_longest

from finops.config import Export
from finops.datadir import DataDir
from finops.money import EXACT
from finops.period import BillingPeriod
from finops.sql import Connection
from finops.store.database import reading
from finops.store.dataset import stored_exports
from finops.store.ledger import Load, current_loads, period_loads


@dataclass(frozen=True, slots=True)
class HistoricLoad:
    """One load, and its change in rows and, per currency, in billed cost since the one before."""

    export: str
    load: Load
    is_current: bool
    row_change: int
    changes: dict[str, Decimal]


def history(data: DataDir, period: BillingPeriod, name: str | None = None) -> list[HistoricLoad]:
    """Return all loads of a period, newest first, per export; a forgotten one has no current."""
    with reading(data) as db:
        return [
            historic
            for export in stored_exports(db, name)
            for historic in _export_history(db, export, period)
        ]


def _export_history(db: Connection, export: Export, period: BillingPeriod) -> list[HistoricLoad]:
    loads = period_loads(db, export.dataset, period)
    current = current_loads(db, export.dataset).get(period)
    return [
        HistoricLoad(
            export.source,
            load,
            load == current,
            load.rows - (before.rows if before else 0),
            _changes(load, before),
        )
        for load, before in zip_longest(loads, loads[1:])
    ]


def _changes(load: Load, before: Load | None) -> dict[str, Decimal]:
    earlier = before.totals if before else {}
    nothing = Decimal(0)
    return {
        currency: EXACT.subtract(load.totals.get(currency, nothing), earlier.get(currency, nothing))
        for currency in sorted({*load.totals, *earlier})
    }
