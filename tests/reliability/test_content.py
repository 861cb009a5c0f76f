"""Mutated files: a month is what it was, or exactly what the file says, and nothing else moves."""

import csv
import gzip
import io
import json
import shutil
import subprocess
import sys
from collections import Counter
from decimal import Decimal

import pytest

from finops.period import BillingPeriod
from tests.reliability.bills import COLUMNS, make_bills, manifest_of, write_bill
from tests.reliability.oracle import assert_clean, check_words
from tests.reliability.plan import dice, rounds
from tests.reliability.site import Site

MONTHS = [BillingPeriod(2019, 1).shift(number) for number in range(rounds(25, 12))]
FORMS = ["csv", "csv.gz", "parquet"]
IDENTITY, USAGE, COST = (list(COLUMNS)[at] for at in (0, 2, 3))
PARQUET_ROWS = """
import duckdb, json, sys
found = duckdb.execute("SELECT * FROM read_parquet(?)", [sys.argv[1]])
names = [column[0] for column in found.description]
print(json.dumps([dict(zip(names, row)) for row in found.fetchall()], default=str))
"""


def mutate(content: bytes, chance):
    """Change, remove, add or double a few bytes."""
    mutant = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(mutant) or 1)
        length = chance.choice([1, 1, 1, 2, 8, 64])
        piece = chance.choice(
            [chance.randbytes(length), b"", b'"', b",", b"\n", b"0", bytes(length), mutant[:length]]
        )
        mutant[at : at + chance.choice([0, len(piece), length])] = piece
    return bytes(mutant)


def mutate_file(path, chance, manifest):
    """Mutate a month's file as it lies, or before it is compressed, or its manifest."""
    if chance.random() < 0.2:
        path = manifest
    if path.suffix == ".gz" and chance.random() < 0.8:
        text = mutate(gzip.decompress(path.read_bytes()), chance)
        path.write_bytes(gzip.compress(text, mtime=0))
    else:
        path.write_bytes(mutate(path.read_bytes(), chance))


@pytest.mark.parametrize("batch", range(rounds(20, 1)))
def test_mutated_files(tmp_path, tally, batch):
    chance = dice("mutants", batch)
    old = make_bills("first", chance, periods=MONTHS, rows=20)
    new = make_bills("second", chance, periods=MONTHS, rows=20)
    for bill in old.values():
        write_bill(tmp_path / "bucket", bill, files=1, form=chance.choice(FORMS))
    site = Site(tmp_path / "data", tmp_path / "bucket")
    assert site.run().code == 0
    shutil.copytree(tmp_path / "bucket", tmp_path / "whole")
    files = {}
    for name, bill in new.items():
        form = chance.choice(FORMS)
        (files[name],) = write_bill(tmp_path / "bucket", bill, files=1, form=form)
        write_bill(tmp_path / "whole", bill, files=1, form=form)
        mutate_file(files[name], chance, manifest_of(tmp_path / "bucket", bill.period))
    around = _listing(tmp_path)
    with tally.trial("mutated data file or manifest", len(MONTHS)) as trial:
        ended = site.run()

        check_words(ended)
        assert ended.code in (0, 3, 65), ended
        assert _listing(tmp_path) == around
        held = site.read()
        for result in ended.results:
            name = result["period"]
            wanted = content(files[name]) if result["outcome"] == "loaded" else old[name].counted
            assert held.rows[name] == wanted, result
        again = Site(site.data, tmp_path / "whole").run()
        assert again.code == 0, again
        assert_clean(site, trial.holds(site, new))


def _listing(folder):
    """Return everything outside the data folder."""
    return {
        path: path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if folder / "data" not in (path, *path.parents)
    }


def content(path):
    """Return what a file says, read by others than the product."""
    if path.suffix == ".parquet":
        return _parquet_content(path)
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8-sig")
    header, *lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    # DuckDB overlooks an empty cell behind the last column; nothing is lost by that.
    assert not any(cell for line in lines for cell in line[len(header) :])
    cells = [dict(zip(header, line, strict=False)) for line in lines if line]
    assert all(len(cell) == len(header) for cell in cells)
    return Counter(
        (cell.get(IDENTITY, ""), cell.get(USAGE, ""), _money(cell.get(COST))) for cell in cells
    )


def _money(text):
    return Decimal(text) if text else None


def _parquet_content(path):
    command = [sys.executable, "-c", PARQUET_ROWS, str(path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    names = [COLUMNS[name] for name in (IDENTITY, USAGE, COST)]
    rows = [[row.get(name) for name in names] for row in json.loads(told)]
    return Counter(
        (identity or "", usage or "", cost if cost is None else Decimal(repr(cost)))
        for identity, usage, cost in rows
    )


@pytest.mark.parametrize("number", range(rounds(5, 1)))
def test_three_bad_months_do_not_stop_the_others(tmp_path, tally, number):
    chance = dice("bad months", number)
    months = [BillingPeriod(2020, 1).shift(number) for number in range(rounds(36, 12))]
    bills = make_bills("first", chance, periods=months, rows=20)
    files = {
        name: write_bill(tmp_path / "bucket", bill, files=1, form="csv")[0]
        for name, bill in bills.items()
    }
    damaged, unreadable, broken = chance.sample(list(bills), 3)
    files[damaged].write_text(files[damaged].read_text().replace("\n", "\nx,", 3))
    files[unreadable].unlink()
    manifest_of(tmp_path / "bucket", bills[broken].period).write_text('{"assemblyId": "x", ')
    site = Site(tmp_path / "data", tmp_path / "bucket")
    with tally.trial("three bad months among good ones", len(bills)) as trial:
        ended = site.run()

        assert ended.code == 3, ended
        wrong = {damaged: "bad-file", unreadable: "missing-object", broken: "bad-manifest"}
        assert ended.errors == wrong
        good = {name: bill for name, bill in bills.items() if name not in wrong}
        assert_clean(site, trial.holds(site, good))
