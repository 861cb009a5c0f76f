#!/usr/bin/env python3
"""Time the making of FOCUS charges against a plain copy of the same line items, in the same run.

Plain DuckDB is ``CREATE TABLE AS SELECT *`` of the period's line items, in the same database.
Both figures are seconds of one process on all cores; the ratio is taken pair by pair. Run with

    .venv-test/bin/python benchmarks/make_charges.py [--rows 1000000] [--rounds 3]
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from finops.config import load_config  # noqa: E402 - the checkout's own packages come first
from finops.focus.charges import replace_charges  # noqa: E402
from finops.focus.lookups import NO_LOOKUPS  # noqa: E402
from finops.period import BillingPeriod  # noqa: E402
from finops.pipeline import import_billing  # noqa: E402
from finops.run import end_run, start_run  # noqa: E402
from finops.sql import Connection, query  # noqa: E402
from finops.store.database import writing  # noqa: E402
from finops.store.dataset import Dataset, stored_exports  # noqa: E402
from finops.store.ledger import current_loads  # noqa: E402
from finops.vendors import find_vendor  # noqa: E402
from finops.vendors.aws.sample import SampleLayout, write_sample  # noqa: E402

FORMS = {
    "v1 parquet": SampleLayout(export_format="parquet"),
    "v2 parquet": SampleLayout(cur_version="v2", export_format="parquet"),
}


def main() -> None:
    """Print one line per form: seconds of both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(f"{'form':<12}{'charges s':>10}{'copy s':>10}{'ratio':>8}   (median of {options.rounds})")
    for name, layout in FORMS.items():
        with tempfile.TemporaryDirectory() as folder:
            compare(name, Path(folder), layout, options.rows, options.rounds)


def compare(name: str, folder: Path, layout: SampleLayout, rows: int, rounds: int) -> None:
    """Make the charges of one period again and again, and copy its line items in between."""
    write_sample(
        folder / "bucket", periods=[BillingPeriod(2024, 1)], rows=rows, seed=1, layout=layout
    )
    place = {"bucket": f"{folder}/bucket", "prefix": layout.prefix, "data_dir": f"{folder}/data"}
    config = load_config(None, {}, place | {"export_name": layout.export_name})
    with start_run(config, "benchmark") as run:
        end_run(run, import_billing(run, config.exports))
    with writing(config.data) as db:
        dataset = Dataset(db, stored_exports(db)[0])
        (load,) = current_loads(db, dataset.export.dataset).values()
        bill = dataset.bill(find_vendor("aws"), load)
        pairs = [
            (
                timed(lambda: replace_charges(db, bill, NO_LOOKUPS)),
                timed(lambda: copy(db, bill.table)),
            )
            for _ in range(rounds)
        ]
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    print(f"{name:<12}{ours:>10.1f}{theirs:>10.1f}{ratio:>8.2f}   {load.rows:,} rows")


def copy(db: Connection, table: str) -> None:
    """Copy the line items, as they are."""
    query(db, f"CREATE OR REPLACE TABLE main.copied AS SELECT * FROM {table}")


def timed(work: Callable[[], object]) -> float:
    """Return how many seconds it took."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
