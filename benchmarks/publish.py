#!/usr/bin/env python3
r"""Time the publishing of a month against the warehouse's own bulk loader, in the same run.

PostgreSQL's own loader is ``psql \\copy`` of a CSV file into an unindexed table of the same types;
BigQuery's is one load job of a Parquet file by Google's client, here into the tests' emulator.
Both files are written beforehand. Ours reads the store, replaces the month, compares rows and
sums on both sides and writes the ledger. Seconds of wall time; the ratio is taken pair by pair.

    .venv-test/bin/python benchmarks/publish.py [--rows 200000] [--rounds 3]
"""

import argparse
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from finops.config import Config, WarehouseConfig, load_config  # noqa: E402 - our own come first
from finops.period import BillingPeriod  # noqa: E402
from finops.pipeline import import_billing  # noqa: E402
from finops.run import end_run, start_run  # noqa: E402
from finops.sql import query  # noqa: E402
from finops.steps.load_billing_remote import load_billing_remote  # noqa: E402
from finops.store.database import reading  # noqa: E402
from finops.vendors.aws.sample import SampleLayout, write_sample  # noqa: E402
from finops.warehouses import connect  # noqa: E402
from tests.servers import bigquery, postgresql  # noqa: E402

Timed = Callable[[], object]


def main() -> None:
    """Print one line per warehouse: rows per second of both, and the ratio of their times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(f"{'warehouse':<12}{'ours rows/s':>14}{'loader rows/s':>15}{'ratio':>8}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = loaded(folder, options.rows)
        for warehouse in (postgres, local_bigquery):
            with warehouse(folder, config) as (target, loader):
                compare(config, target, loader, options.rows, options.rounds)


def loaded(folder: Path, rows: int) -> Config:
    """Import a month of sample bills."""
    layout = SampleLayout(export_format="parquet")
    periods = [BillingPeriod(2024, 1)]
    write_sample(folder / "bucket", periods=periods, rows=rows, seed=1, layout=layout)
    place = {"bucket": f"{folder}/bucket", "prefix": layout.prefix, "data_dir": f"{folder}/data"}
    config = load_config(None, {}, place | {"export_name": layout.export_name})
    with start_run(config, "benchmark") as run:
        end_run(run, import_billing(run, config.exports))
    return config


def compare(config: Config, target: WarehouseConfig, loader: Timed, rows: int, rounds: int) -> None:
    """Publish the month again and again, and let the bulk loader load it in between."""
    with start_run(config, "benchmark") as run:
        with connect(target, config.data.temporary) as warehouse:
            publish = lambda: load_billing_remote(  # noqa: E731 - what is timed
                run, config.exports[0], warehouse, force=True
            )
            publish()
            pairs = [(timed(publish), timed(loader)) for _ in range(rounds)]
        end_run(run, [])
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    print(f"{target.type:<12}{rows / ours:>14,.0f}{rows / theirs:>15,.0f}{ratio:>8.2f}")


@contextlib.contextmanager
def postgres(folder: Path, config: Config) -> Iterator[tuple[WarehouseConfig, Timed]]:
    """Yield a PostgreSQL, and what loads the month into it by ``psql``."""
    file = folder / "month.csv"
    with reading(config.data, allowed_folder=folder) as db:
        query(db, f"COPY (FROM aws_billing.billing) TO '{file}' (HEADER false)")
    with postgresql.server(folder / "log") as server, server.database() as database:
        target = target_of("postgres", uri=database.uri)
        yield (
            target,
            lambda: subprocess.run(
                [
                    *("psql", "-q", database.uri, "-c", "DROP TABLE IF EXISTS own", "-c"),
                    "CREATE TABLE own AS SELECT * FROM billing.aws_data WHERE false",
                    *("-c", "ALTER TABLE own DROP COLUMN billing_period_start"),
                    *("-c", f"\\copy own FROM '{file}' CSV"),
                ],
                check=True,
            ),
        )


@contextlib.contextmanager
def local_bigquery(folder: Path, config: Config) -> Iterator[tuple[WarehouseConfig, Timed]]:
    """Yield a BigQuery, and what loads the month into it by Google's client."""
    from google.cloud.bigquery import LoadJobConfig

    file = folder / "month.parquet"
    with reading(config.data, allowed_folder=folder) as db:
        query(db, f"COPY (FROM aws_billing.billing) TO '{file}' (FORMAT parquet)")
    settings = LoadJobConfig(source_format="PARQUET", write_disposition="WRITE_TRUNCATE")
    with bigquery.server(folder / "log") as server:
        target = target_of("bigquery", project_id=server.project, endpoint=server.endpoint)

        def load() -> None:
            with contextlib.closing(server.client()) as client, file.open("rb") as source:
                client.load_table_from_file(source, "billing.own", job_config=settings).result()

        yield target, load


def target_of(kind: str, **keys: str) -> WarehouseConfig:
    """Return the configuration of a warehouse, with its defaults."""
    return WarehouseConfig(
        name=kind,
        section=f"warehouse.{kind}",
        type=kind,
        dataset="billing",
        focus_dataset="focus",
        table="",
        table_strategy="single",
        **keys,
    )


def timed(work: Timed) -> float:
    """Return how many seconds it took."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
