"""``status``: what is loaded, how old it is, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from finops.config import Config, Export
from finops.datadir import DataDir
from finops.focus.overlaps import Overlap, find_overlaps
from finops.period import BillingPeriod
from finops.sql import Connection
from finops.state import Attempt, DeliveryState, State
from finops.store.database import reading
from finops.store.dataset import Dataset, stored_exports
from finops.store.ledger import Load, current_loads


@dataclass(frozen=True, slots=True)
class ExportStatus:
    """One export: its periods, its newest delivery (UTC), and what needs a look."""

    export: Export
    first: BillingPeriod | None
    last: BillingPeriod | None
    periods: int
    rows: int
    delivered_at: datetime | None
    loaded_at: datetime | None
    problems: tuple[str, ...]

    def is_stale(self, age: timedelta, now: datetime) -> bool:
        """Tell whether the newest delivery is older than ``age``; nothing loaded is stale."""
        return self.delivered_at is None or now - self.delivered_at.replace(tzinfo=UTC) > age


def status(data: DataDir, name: str | None = None) -> list[ExportStatus]:
    """Return the status of every export that the store knows."""
    attempts = newest_attempts(data)
    with reading(data) as db:
        return [_status(db, export, attempts) for export in stored_exports(db, name)]


def overlaps_of(config: Config, name: str | None = None) -> list[Overlap]:
    """Return what two exports both have; of the one called ``name``, or of all."""
    with reading(config.data) as db:
        return [each for each in find_overlaps(db, config.overlaps) if each.is_of(name)]


def _status(db: Connection, export: Export, attempts: list[Attempt]) -> ExportStatus:
    loads = current_loads(db, export.dataset)
    return ExportStatus(
        export=export,
        first=min(loads, default=None),
        last=max(loads, default=None),
        periods=len(loads),
        rows=sum(load.rows for load in loads.values()),
        delivered_at=max((load.delivered_at for load in loads.values()), default=None),
        loaded_at=max((load.loaded_at for load in loads.values()), default=None),
        problems=(*_missing_tables(db, export, loads), *_failures(export, attempts)),
    )


def _missing_tables(db: Connection, export: Export, loads: dict[BillingPeriod, Load]) -> list[str]:
    dataset = Dataset(db, export)
    return [
        f"{period}: its table was dropped by hand; finops rebuild brings it back"
        for period in loads
        if not dataset.has_table(period)
    ]


def _failures(export: Export, attempts: list[Attempt]) -> list[str]:
    return [
        f"{attempt.delivery.period}: the newest delivery failed ({attempt.reason})"
        for attempt in attempts
        if (attempt.delivery.vendor, attempt.delivery.export) == (export.vendor, export.name)
        and attempt.state == DeliveryState.FAILED
    ]


def newest_attempts(data: DataDir) -> list[Attempt]:
    """Return the newest attempt of every export and period."""
    if not data.state.exists():
        return []
    state = State(data.state)
    try:
        newest: dict[tuple[str, str, BillingPeriod], Attempt] = {}
        for attempt in state.attempts():
            delivery = attempt.delivery
            newest.setdefault((delivery.vendor, delivery.export, delivery.period), attempt)
    finally:
        state.close()
    return list(newest.values())
