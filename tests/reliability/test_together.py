"""Two runs never work at once, and no reader is ever kept out or shown half of a run."""

import json
import subprocess
import sys
from dataclasses import replace

import duckdb
import pytest

from tests.reliability.bills import make_bills, write_bill
from tests.reliability.oracle import assert_clean, check_words
from tests.reliability.plan import dice, rounds
from tests.reliability.site import Ended, Site, finish

READER = """
import duckdb, json, sys
total = "SELECT billing_period, sum(lineitem_unblendedcost)::VARCHAR,"
total += " count(DISTINCT _finops_load_id) FROM aws_billing.billing GROUP BY 1 ORDER BY 1"
while True:
    with duckdb.connect(sys.argv[1], read_only=True) as db:
        print(json.dumps(db.execute(total).fetchall()), flush=True)
"""


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    """Two buckets with different versions of the same months, long enough to meet in."""
    home = tmp_path_factory.mktemp("versions")
    made = []
    for version in ("first", "second"):
        bills = make_bills(version, dice("together", version), rows=4000)
        for bill in bills.values():
            write_bill(home / version, bill)
        made.append((home / version, bills))
    return made


def _both(site, *arguments):
    processes = [site.start("import-cur", *arguments) for _ in range(2)]
    ended = []
    for process in processes:
        out, err = finish(process)
        ended.append(Ended(process.returncode, out, err, 0))
        check_words(ended[-1])
    return processes, ended


@pytest.mark.parametrize("number", range(rounds(20, 2)))
def test_of_two_runs_one_works(tmp_path, versions, tally, number):
    bucket, bills = versions[number % 2]
    site = Site(tmp_path / "data", bucket)
    with tally.trial("two runs at once") as trial:
        processes, ended = _both(site)

        worked, refused = sorted(zip(ended, processes, strict=True), key=lambda each: each[0].code)
        assert (worked[0].code, refused[0].code) == (0, 75)
        assert f"process {worked[1].pid}, run 2" in refused[0].err
        assert_clean(site, trial.holds(site, bills))


@pytest.mark.parametrize("number", range(rounds(20, 1)))
def test_of_two_runs_that_wait_one_loads(tmp_path, versions, tally, number):
    bucket, bills = versions[number % 2]
    site = Site(tmp_path / "data", bucket)
    with tally.trial("two runs at once, --lock-timeout") as trial:
        _, ended = _both(site, "--lock-timeout", "100")

        assert [each.code for each in ended] == [0, 0]
        assert_clean(site, trial.holds(site, bills))
        with duckdb.connect(str(site.database), read_only=True) as db:
            assert db.execute("SELECT count(*) FROM finops.loads").fetchone() == (len(bills),)


def test_readers_are_never_kept_out(tmp_path, versions, tally):
    (bucket, first), (other, second) = versions
    site = Site(tmp_path / "data", bucket)
    assert site.run().code == 0
    whole = [_totals(bills) for bills in (first, second)]
    swaps = rounds(20, 3)
    with (
        tally.trial("readers while a run publishes", swaps) as trial,
        (tmp_path / "read").open("w+") as output,
        subprocess.Popen(
            [sys.executable, "-c", READER, str(site.database)], stdout=output, stderr=output
        ) as reader,
        _old_reader(site) as old_reader,
    ):
        try:
            for swap in range(swaps):
                now = replace(site, bucket=(other, bucket)[swap % 2])
                assert now.run().code == 0
                assert_clean(now, trial.holds(now, (second, first)[swap % 2]))
            assert reader.poll() is None, "a reader was refused"
        finally:
            reader.kill()
        assert _ask(old_reader) == whole[0]
        output.seek(0)
        seen = [json.loads(line) for line in output.read().splitlines()[:-1]]
        assert len(seen) > swaps
        assert all(found in whole for found in seen)
        assert whole[1] in seen


def _totals(bills):
    return [[period, f"{bill.total:.24f}", 1] for period, bill in bills.items()]


def _old_reader(site):
    """Start a process that keeps the store of now open."""
    program = READER.replace("while True:", "if True:").replace(
        "        print(", "        for _ in sys.stdin: print("
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    reader = subprocess.Popen(
        [sys.executable, "-c", program, str(site.database)], text=True, **pipes
    )
    _ask(reader)
    return reader


def _ask(reader):
    reader.stdin.write("\n")
    reader.stdin.flush()
    return json.loads(reader.stdout.readline())
