"""``focus export-parquet``: the charges as files that another FOCUS tool accepts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from finops.columns import PERIOD_COLUMN
from finops.datadir import DataDir
from finops.focus.columns import focus_columns
from finops.focus.versions import TABLE, meanings
from finops.period import BillingPeriod
from finops.sql import Connection, identifier, query
from finops.steps.loaded import Charges, loaded_charges
from finops.store.database import reading

# What other tools read without knowing DuckDB: times with their zone, JSON as text.
_PUBLISHED = {"timestamp": "TIMESTAMPTZ", "json": "VARCHAR"}


def export_focus(
    data: DataDir,
    out: Path,
    version: str,
    name: str | None = None,
    period: BillingPeriod | None = None,
) -> list[dict[str, Any]]:
    """Write ``OUT/cost_and_usage_1_2/billing_period=YYYY-MM/DATASET.parquet`` for every period.

    The columns are those of the version, in the order of the specification; costs are
    ``DECIMAL(38,24)``, times UTC. A file appears whole or not at all.

    Raises:
        LocalError: there are no charges to write.
    """
    folder = out.absolute() / f"cost_and_usage_{version.replace('.', '_')}"
    with reading(data, allowed_folder=folder) as db:
        return [
            _export_period(db, charges, version, folder)
            for charges in loaded_charges(db, name, period)
        ]


def _export_period(db: Connection, charges: Charges, version: str, folder: Path) -> dict[str, Any]:
    load, dataset = charges.load, charges.dataset.export.dataset
    target = folder / f"{PERIOD_COLUMN}={load.period}" / f"{dataset}.parquet"
    part = target.with_suffix(".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        ((rows,),) = query(
            db,
            f"COPY (SELECT {_cells(version)} FROM {TABLE} WHERE x_LoadId = $load_id)"
            " TO $file (FORMAT parquet, COMPRESSION zstd)",
            {"load_id": load.load_id, "file": str(part)},
        )
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return {
        "vendor": charges.dataset.export.vendor,
        "export": charges.dataset.export.name,
        "period": str(load.period),
        "file": str(target),
        "rows": rows,
        "bytes": target.stat().st_size,
    }


def _cells(version: str) -> str:
    kinds = {column.name: column.kind for column in focus_columns(version)}
    return ", ".join(
        f"CAST({cell} AS {_PUBLISHED[kinds[name]]}) AS {identifier(name)}"
        if kinds[name] in _PUBLISHED
        else f"{cell} AS {identifier(name)}"
        for name, cell in meanings(version)
    )
