"""``focus export-parquet``: the charges as files that another FOCUS tool accepts."""

from __future__ import annotations

from finops.columns import PERIOD_COLUMN
from finops.config import Export
from finops.run import PeriodResult, Run
from finops.steps.parquet_files import write_files
from finops.steps.published import charges
from finops.store.database import reading


def export_focus(
    run: Run, export: Export, out: str, version: str, *, force: bool = False
) -> list[PeriodResult]:
    """Write ``OUT/cost_and_usage_1_2/billing_period=YYYY-MM/DATASET.parquet`` for every period.

    The columns are those of the version, in the order of the specification; costs are
    ``DECIMAL(38,24)``, times UTC, JSON is text.
    """
    folder = f"cost_and_usage_{version.replace('.', '_')}"
    layout = f"{folder}/{PERIOD_COLUMN}={{period}}/{{dataset}}.parquet"
    with reading(run.data, allowed_folder=run.data.temporary) as db:
        return write_files(run, charges(db, export, version), out, layout, force=force)
