"""The ledger: every delivery ever loaded. It alone says what is loaded."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal

import duckdb

from finops.period import BillingPeriod
from finops.sql import Connection, Row, query

_FILES = "STRUCT(key VARCHAR, size BIGINT, etag VARCHAR, sha256 VARCHAR)[]"
_COLUMNS = (
    "load_id, dataset, billing_period, delivery_id, fingerprint, delivered_at, loaded_at,"
    " files, row_count, totals, rounded_cells"
)


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """A data file that rows came from; ``size`` in bytes, ``sha256`` as it was downloaded."""

    key: str
    size: int
    etag: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Load:
    """A delivery that was loaded. Times are UTC; ``totals`` is billed cost per currency.

    ``rounded_cells`` counts money cells that had digits beyond the 24th decimal.
    """

    load_id: str
    dataset: str
    period: BillingPeriod
    delivery_id: str
    fingerprint: str
    delivered_at: datetime
    loaded_at: datetime
    files: tuple[LoadedFile, ...]
    rows: int
    totals: dict[str, Decimal]
    rounded_cells: int


def current_loads(db: Connection, dataset: str) -> dict[BillingPeriod, Load]:
    """Return what counts now, by period, newest first."""
    rows = query(
        db,
        f"SELECT {_COLUMNS} FROM finops.loads WHERE dataset = ? AND is_current"
        " ORDER BY billing_period DESC",
        [dataset],
    )
    return {load.period: load for load in map(_load, rows)}


def period_loads(db: Connection, dataset: str, period: BillingPeriod) -> list[Load]:
    """Return every load of a billing period, newest first; the current one is among them."""
    rows = query(
        db,
        f"SELECT {_COLUMNS} FROM finops.loads WHERE dataset = ? AND billing_period = ?"
        " ORDER BY loaded_at DESC",
        [dataset, str(period)],
    )
    return [_load(row) for row in rows]


def load_ids(db: Connection) -> set[str]:
    """Return every load id ever committed."""
    return {load_id for (load_id,) in query(db, "SELECT load_id FROM finops.loads")}


def record_load(db: Connection, load: Load) -> None:
    """Write a load down and make it the current one of its period."""
    end_current_load(db, load.dataset, load.period)
    query(
        db,
        "DELETE FROM finops.holds WHERE dataset = $1 AND billing_period = $2"
        " AND coalesce(fingerprint, $3) = $3",
        [load.dataset, str(load.period), load.fingerprint],
    )
    query(
        db,
        f"INSERT INTO finops.loads ({_COLUMNS}, is_current) SELECT ?, ?, ?, ?, ?, ?, ?,"
        f" CAST(?::JSON AS {_FILES}), ?,"
        " map_from_entries(list_zip(?::VARCHAR[], ?::DECIMAL(38, 24)[])), ?, true",
        [
            load.load_id,
            load.dataset,
            str(load.period),
            load.delivery_id,
            load.fingerprint,
            load.delivered_at,
            load.loaded_at,
            json.dumps([asdict(file) for file in load.files]),
            load.rows,
            list(load.totals),
            [str(total) for total in load.totals.values()],
            load.rounded_cells,
        ],
    )


def end_current_load(db: Connection, dataset: str, period: BillingPeriod) -> None:
    """Say that no load of the period counts any more."""
    query(
        db,
        "UPDATE finops.loads SET is_current = false WHERE dataset = ? AND billing_period = ?",
        [dataset, str(period)],
    )


def hold(
    db: Connection, dataset: str, period: BillingPeriod, fingerprint: str | None = None
) -> None:
    """Let a delivery, or without a fingerprint the whole period, not be loaded by itself."""
    query(
        db,
        "INSERT INTO finops.holds VALUES (?, ?, ?, now()::TIMESTAMP)",
        [dataset, str(period), fingerprint],
    )


def held(db: Connection, dataset: str) -> set[tuple[BillingPeriod, str | None]]:
    """Return what must not be loaded by itself; an older schema holds nothing."""
    with suppress(duckdb.CatalogException):
        rows = query(
            db,
            "SELECT billing_period, fingerprint FROM finops.holds WHERE dataset = ?",
            [dataset],
        )
        return {(BillingPeriod.parse(period), fingerprint) for period, fingerprint in rows}
    return set()


def _load(row: Row) -> Load:
    load_id, dataset, period, delivery_id, fingerprint, delivered, loaded, files, *measures = row
    rows, totals, rounded_cells = measures
    return Load(
        load_id=load_id,
        dataset=dataset,
        period=BillingPeriod.parse(period),
        delivery_id=delivery_id,
        fingerprint=fingerprint,
        delivered_at=delivered,
        loaded_at=loaded,
        files=tuple(LoadedFile(**file) for file in files),
        rows=rows,
        totals=totals,
        rounded_cells=rounded_cells,
    )
