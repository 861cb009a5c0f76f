"""The demo: sample bills of all vendors through the very pipeline that real buckets take."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from finops.config import VENDORS, export_keys, load_config
from finops.datadir import DataDir
from finops.errors import LocalError
from finops.period import BillingPeriod
from finops.pipeline import import_billing
from finops.run import PeriodResult, Track, end_run, start_run, untracked
from finops.sampling import Layout, write_sample
from finops.vendors import find_sample

PERIODS = 3
_MARK = ".finops-demo"
_PROJECT = """\
# Sample bills, an export for each way in which clouds deliver them.
[project]
data_dir = "data"
"""


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo did and where it lies."""

    data: DataDir
    results: list[PeriodResult]


def run_demo(
    folder: Path, *, rows: int, seed: int, track: Track = untracked, run_id: str = ""
) -> Demo:
    """Write every export's bucket into ``folder`` and import them.

    ``rows`` is the number of line items per period, shared out to the exports. An earlier demo
    is replaced.

    Raises:
        LocalError: ``folder`` holds something else.
    """
    _clear(folder)
    write_buckets(folder, rows=rows, seed=seed)
    config_file = folder / "config.toml"
    config_file.write_text("\n".join([_PROJECT, *_sections()]), "utf-8")
    config = load_config(config_file, {}, {})
    with start_run(config, "demo", track, run_id=run_id) as run:
        results = import_billing(run, config.exports)
        end_run(run, results)
    return Demo(config.data, results)


def write_buckets(folder: Path, *, rows: int, seed: int) -> None:
    """Write a bucket tree per export: the latest whole months, the newest not yet invoiced."""
    newest = BillingPeriod.containing(datetime.now(UTC)).shift(-1)
    periods = [newest.shift(-back) for back in reversed(range(PERIODS))]
    exports = list(_exports())
    for number, (vendor, export, layout) in enumerate(exports):
        write_sample(
            folder / f"bucket-{vendor}-{export}",
            layout=layout,
            periods=periods,
            rows=rows // len(exports),
            seed=seed + number,
        )


def place_of(vendor: str, layout: Layout) -> dict[str, str]:
    """Return the configuration keys that say where in its bucket a sample lies."""
    free = [key.name for key in export_keys(vendor) if not key.choices and key.name != "bucket"]
    return {name: place for name in free if (place := getattr(layout, name, ""))}


def _exports() -> Iterator[tuple[str, str, Layout]]:
    for vendor in VENDORS:
        for export, layout in find_sample(vendor).DEMO_LAYOUTS.items():
            yield vendor, export, layout


def _sections() -> Iterator[str]:
    for vendor, export, layout in _exports():
        section = vendor if export == "default" else f"{vendor}.exports.{export}"
        place = {"bucket": f"./bucket-{vendor}-{export}"} | place_of(vendor, layout)
        lines = [f"{name} = {json.dumps(value)}" for name, value in place.items()]
        yield "\n".join([f"[{section}]", *lines, ""])


def _clear(folder: Path) -> None:
    if folder.exists():
        if not (folder / _MARK).exists() and any(folder.iterdir()):
            raise LocalError(
                f"{folder} is no demo folder", code="not-a-demo", do="give another --data-dir"
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / _MARK).touch()
