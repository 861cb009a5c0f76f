"""``export-parquet``: one Parquet file per loaded billing period."""

from __future__ import annotations

from pathlib import Path

from finops.columns import PERIOD_COLUMN
from finops.config import Export
from finops.errors import LocalError
from finops.run import Outcome, PeriodResult, Run
from finops.sql import Connection, identifier, query
from finops.store.database import reading
from finops.store.dataset import VIEW
from finops.store.ledger import Load, current_loads


def export_parquet(run: Run, export: Export, out: Path) -> list[PeriodResult]:
    """Write every loaded period to ``OUT/DATASET/billing_period=YYYY-MM/data.parquet``.

    Types and decimals are kept. A file appears whole or not at all.
    """
    if not run.data.database.exists():
        raise LocalError("nothing is loaded yet", code="no-database", do="run import-cur first")
    folder = out.absolute() / export.dataset
    with reading(run.data, allowed_folder=folder) as db:
        loads = current_loads(db, export.dataset)
        return [
            _export_period(db, export, load, folder)
            for period, load in loads.items()
            if export.covers(period)
        ]


def _export_period(db: Connection, export: Export, load: Load, folder: Path) -> PeriodResult:
    target = folder / f"{PERIOD_COLUMN}={load.period}" / "data.parquet"
    part = target.with_suffix(".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        query(
            db,
            f"COPY (SELECT * FROM {identifier(export.dataset, VIEW)} WHERE {PERIOD_COLUMN} = ?)"
            " TO ? (FORMAT parquet, COMPRESSION zstd)",
            [str(load.period), str(part)],
        )
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return PeriodResult(
        export.name,
        load.period,
        Outcome.EXPORTED,
        load.delivery_id,
        1,
        target.stat().st_size,
        load.rows,
        load.totals,
    )
