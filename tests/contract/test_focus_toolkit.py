"""Bills of a generator that shares no code with us, and its judgement of what we make of them.

focus-data-toolkit writes FOCUS 1.2 and 1.3 of three clouds; its lint knows the model of 1.4.
"""

import csv
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from finops.period import BillingPeriod
from finops.vendors import find_sample
from tests.driver import Finops, over_folder

TOOLKIT = Path(sys.executable).with_name("focus-toolkit")
COSTS = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")


def toolkit(*arguments):
    done = subprocess.run(
        [TOOLKIT, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def sums(file):
    """Add up a CSV file in plain decimal arithmetic."""
    with file.open(encoding="utf-8", newline="") as text:
        rows = list(csv.DictReader(text))
    return len(rows), *(sum(Decimal(row[cost]) for row in rows) for cost in COSTS)


def lint(folder):
    """Return what the toolkit says of the only Parquet file; it wants numbers without exponents."""
    (file,) = folder.rglob("*.parquet")
    rows = f"read_parquet('{file}', hive_partitioning = false)"
    columns = duckdb.sql(f"DESCRIBE FROM {rows}").fetchall()
    doubles = [name for name, kind, *_ in columns if kind == "DOUBLE"]
    plain = ", ".join(f"CAST({name} AS DECIMAL(38, 15)) AS {name}" for name in doubles)
    plainly = file.with_suffix(".plain.parquet")
    duckdb.sql(f"SELECT * REPLACE ({plain}) FROM {rows}").write_parquet(str(plainly))
    return toolkit("validate", plainly)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("provider", ["aws", "azure", "gcp"])
def test_bills_of_another_generator_are_the_same_money(tmp_path, provider, version):
    made = ("--provider", provider, "--focus-version", version, "--rows", 300, "--seed", 11)
    assert toolkit("generate", *made, "--out", tmp_path)[0] == 0
    (file,) = tmp_path.glob("*cost_and_usage*.csv")
    finops = Finops(tmp_path / "data")

    assert finops("focus", "import", "--json", "--strict", str(file)).code == 0

    added = ", ".join(f"sum({cost})" for cost in COSTS)
    assert finops.query(f"SELECT count(*), {added} FROM focus.cost_and_usage") == [sums(file)]
    out = tmp_path / "out"
    assert finops("focus", "export-parquet", "--version", "1.4", "--out", str(out)).code == 0
    code, said = lint(out)
    assert code == 0, said


def test_charges_of_cur_pass_the_lint_of_1_4(tmp_path, seed):
    periods = [BillingPeriod(2024, 1)]
    find_sample("aws").write_sample(tmp_path / "bucket", periods=periods, rows=400, seed=seed)
    finops = over_folder(tmp_path / "data", tmp_path / "bucket")
    assert finops.aws("import-cur").code == 0

    out = tmp_path / "out"
    assert finops("focus", "export-parquet", "--version", "1.4", "--out", str(out)).code == 0

    code, said = lint(out)
    assert code == 0, said


def test_the_lint_can_fail(tmp_path):
    file = tmp_path / "a.parquet"
    duckdb.sql("SELECT 1.5 AS BilledCost, 'EUR' AS BillingCurrency").write_parquet(str(file))

    assert toolkit("validate", file)[0] == 1
