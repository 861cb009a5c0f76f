"""``export-parquet``: one Parquet file of line items per loaded billing period."""

from __future__ import annotations

from dataclasses import replace

from finops.columns import PERIOD_COLUMN
from finops.config import Export
from finops.run import PeriodResult, Run
from finops.steps.parquet_files import write_files
from finops.steps.published import line_items
from finops.store.database import reading

_LAYOUT = f"{{dataset}}/{PERIOD_COLUMN}={{period}}/data.parquet"


def export_parquet(
    run: Run, export: Export, out: str, *, force: bool = False
) -> list[PeriodResult]:
    """Write every loaded period to ``OUT/DATASET/billing_period=YYYY-MM/data.parquet``.

    Types and decimals are kept, times have their zone; the period is in the path.
    """
    with reading(run.data, allowed_folder=run.data.temporary) as db:
        periods = [
            replace(each, rows=each.rows.without(PERIOD_COLUMN)) for each in line_items(db, export)
        ]
        return write_files(run, periods, out, _LAYOUT, force=force)
