"""The demo: two payers' sample bills through the very pipeline that real buckets take."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from finops.config import load_config
from finops.datadir import DataDir
from finops.errors import LocalError
from finops.period import BillingPeriod
from finops.pipeline import import_billing
from finops.run import PeriodResult, Track, end_run, start_run, untracked
from finops.vendors.aws.sample import SampleLayout, write_sample

PERIODS = 3
_MARK = ".finops-demo"

LAYOUTS: Mapping[str, SampleLayout] = {
    "default": SampleLayout(export_name="monthly-cur"),
    "second-payer": SampleLayout(
        cur_version="v2",
        export_format="parquet",
        versioning="overwrite",
        export_name="data-export",
        payer_account="210987654321",
    ),
}

_CONFIG = """\
# Two payers: one delivers CUR v1 as csv.gz, the other CUR 2.0 as Parquet.
[project]
data_dir = "data"

[aws]
bucket = "./bucket-default"
prefix = "cur-reports"
export_name = "monthly-cur"

[aws.exports.second-payer]
bucket = "./bucket-second-payer"
export_name = "data-export"
"""


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo did and where it lies."""

    data: DataDir
    results: list[PeriodResult]


def run_demo(
    folder: Path, *, rows: int, seed: int, track: Track = untracked, run_id: str = ""
) -> Demo:
    """Write both payers' buckets into ``folder`` and import them.

    ``rows`` is the number of line items per period and payer. An earlier demo is replaced.

    Raises:
        LocalError: ``folder`` holds something else.
    """
    _clear(folder)
    write_buckets(folder, rows=rows, seed=seed)
    config_file = folder / "config.toml"
    config_file.write_text(_CONFIG, "utf-8")
    config = load_config(config_file, {}, {})
    with start_run(config, "demo", track, run_id=run_id) as run:
        results = import_billing(run, config.exports)
        end_run(run, results)
    return Demo(config.data, results)


def write_buckets(folder: Path, *, rows: int, seed: int) -> None:
    """Write one bucket tree per payer: the latest whole months, the newest not yet invoiced."""
    newest = BillingPeriod.containing(datetime.now(UTC)).shift(-1)
    periods = [newest.shift(-back) for back in reversed(range(PERIODS))]
    for payer, (export, layout) in enumerate(LAYOUTS.items()):
        bucket = folder / f"bucket-{export}"
        write_sample(bucket, periods=periods, rows=rows, seed=seed + payer, layout=layout)


def _clear(folder: Path) -> None:
    if folder.exists():
        if not (folder / _MARK).exists() and any(folder.iterdir()):
            raise LocalError(
                f"{folder} is no demo folder", code="not-a-demo", do="give another --data-dir"
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / _MARK).touch()
