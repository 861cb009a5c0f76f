#!/usr/bin/env python3
"""Time the load step against plain DuckDB on the same files: a ratio, in the same run.

Plain DuckDB is ``CREATE TABLE AS SELECT`` with the same types by explicit CAST, into a database
file of its own, followed by a checkpoint; nothing is verified, named or recorded. Run it with

    .venv-test/bin/python benchmarks/load_billing.py [--rows 1000000] [--rounds 3]
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

import duckdb  # noqa: E402 - the checkout's own packages come first

from finops.period import BillingPeriod  # noqa: E402
from finops.vendors.aws.sample import SampleLayout, write_sample  # noqa: E402

FORMS = {
    "v1 csv.gz": SampleLayout(files=4),
    "v1 parquet": SampleLayout(export_format="parquet", files=4),
    "v2 parquet": SampleLayout(cur_version="v2", export_format="parquet", files=4),
}


def main() -> None:
    """Print one line per form: seconds of both, and their ratio pair by pair."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(
        f"{'form':<12}{'finops s':>10}{'DuckDB s':>10}{'ratio':>8}   (median of {options.rounds})"
    )
    for name, layout in FORMS.items():
        with tempfile.TemporaryDirectory() as folder:
            compare(name, Path(folder), layout, options.rows, options.rounds)


def compare(name: str, folder: Path, layout: SampleLayout, rows: int, rounds: int) -> None:
    """Load one delivery both ways, in turn."""
    bucket = folder / "bucket"
    (delivery,) = write_sample(
        bucket, periods=[BillingPeriod(2024, 1)], rows=rows, seed=1, layout=layout
    )
    place = [
        "--bucket",
        str(bucket),
        "--prefix",
        layout.prefix,
        "--export-name",
        layout.export_name,
    ]
    staged = folder / "staged"
    for step in ("discover-manifests", "extract-manifests", "extract-billing"):
        finops(staged, step, *place)
    pairs = []
    for _ in range(rounds):
        data, plain = folder / "data", folder / "plain.duckdb"
        shutil.copytree(staged, data)
        ours = timed(partial(finops, data, "load-billing-local", *place))
        files = sorted(map(str, data.rglob("000*")))
        theirs = timed(partial(plain_duckdb, plain, files, stored_types(data)))
        pairs.append((ours, theirs))
        shutil.rmtree(data)
        plain.unlink()
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    print(f"{name:<12}{ours:>10.1f}{theirs:>10.1f}{ratio:>8.2f}   {delivery.rows:,} rows")


def finops(data: Path, step: str, *place: str) -> None:
    """Run one step as its own process."""
    command = [sys.executable, "-m", "finops", "-q", "--data-dir", str(data), "aws", step, *place]
    environment = dict(os.environ, PYTHONPATH=str(ROOT / "src"))
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)


def stored_types(data: Path) -> list[tuple[str, str]]:
    """Return the loaded table's columns and types, without the two that are stamped."""
    with duckdb.connect(str(data / "open_finops.duckdb"), read_only=True) as db:
        return db.execute(
            "SELECT original, type FROM finops.column_registry ORDER BY position NULLS LAST, name"
        ).fetchall()


def plain_duckdb(database: Path, files: list[str], types: list[tuple[str, str]]) -> None:
    """Load the same files with the same types, as one would by hand."""
    program = [sys.executable, __file__, "--plain", str(database), repr(files), repr(dict(types))]
    subprocess.run(program, check=True)


def load_by_hand(database: str, files: list[str], types: dict[str, str]) -> None:
    """Create the table and checkpoint it; runs in a process of its own."""
    with duckdb.connect(database) as db:
        reader = (
            "read_parquet(?)"
            if files[0].endswith(".parquet")
            else "read_csv(?, header = true, all_varchar = true, delim = ',', quote = '\"')"
        )
        found = db.execute(f"DESCRIBE SELECT * FROM {reader}", [files]).fetchall()
        from finops.vendors.aws.names import aws_column_name

        spelled = {aws_column_name(original): kind for original, kind in types.items()} | types
        cells = ", ".join(
            f'CAST("{row[0]}" AS {spelled[row[0]]}) AS "{row[0]}"'
            if row[1] != "VARCHAR" or spelled[row[0]] in ("VARCHAR", "TIMESTAMP")
            else f'CAST(nullif("{row[0]}", \'\') AS {spelled[row[0]]}) AS "{row[0]}"'
            for row in found
        )
        db.execute(f"CREATE TABLE billing AS SELECT {cells} FROM {reader}", [files]).fetchall()
        db.execute("CHECKPOINT").fetchall()


def timed(work: Callable[[], None]) -> float:
    """Return the seconds that ``work`` takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


if __name__ == "__main__":
    if sys.argv[1:2] == ["--plain"]:
        import ast

        load_by_hand(sys.argv[2], ast.literal_eval(sys.argv[3]), ast.literal_eval(sys.argv[4]))
    else:
        main()
