"""A data folder and its bucket, worked on by real processes only."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import duckdb

ROOT = Path(__file__).parents[2]
_ROWS = (
    "SELECT billing_period, coalesce(identity_lineitemid, ''), coalesce(lineitem_usagetype, ''),"
    " lineitem_unblendedcost, _finops_load_id FROM aws_billing.billing"
)
_CHARGES = (
    "SELECT x_BillingPeriod, x_LoadId, count(*), sum(BilledCost) FROM focus.cost_and_usage"
    " GROUP BY ALL"
)
_DAILY = (
    "SELECT x_BillingPeriod, x_LoadId, sum(x_Charges), sum(BilledCost) FROM focus.daily"
    " GROUP BY ALL"
)
_LOADS = (
    "SELECT billing_period, load_id, row_count, totals, delivery_id FROM finops.loads"
    " WHERE is_current"
)


@dataclass(frozen=True)
class Ended:
    """How a process ended; ``code`` is negative when a signal ended it."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def results(self):
        return json.loads(self.out)["results"]

    @property
    def errors(self):
        """The error codes by period."""
        return {each["period"]: each["error"]["code"] for each in self.results if each["error"]}


@dataclass
class Held:
    """What the published store holds: rows, the loads on them, and the ledger, by period.

    ``charges`` are load, number and cost of the charges of each period, and of their days.
    """

    rows: dict = field(default_factory=lambda: defaultdict(Counter))
    load_ids: dict = field(default_factory=lambda: defaultdict(set))
    ledger: dict = field(default_factory=dict)
    deliveries: dict = field(default_factory=dict)
    stages: list = field(default_factory=list)
    charges: list = field(default_factory=list)


@dataclass(frozen=True)
class Site:
    """The command line over one data folder and one bucket, a folder unless an endpoint is set.

    On a disk of another mount namespace, ``enter`` is the command that leads there and
    ``inside`` what the data folder is called then.
    """

    data: Path
    bucket: Path | str
    flags: tuple[str, ...] = ()
    enter: tuple[str, ...] = ()
    inside: Path | None = None

    @property
    def database(self):
        return self.data / "open_finops.duckdb"

    def copy(self, to, bucket=None):
        """Return a site like this one, with a data folder of its own."""
        if self.data.exists():
            shutil.copytree(self.data, to)
        return replace(self, data=to, bucket=bucket or self.bucket)

    def run(self, command="import-cur", *arguments, **faults):
        """Run a step to its end."""
        return _ended(self.start(command, *arguments, **faults))

    def look_after(self, command, *arguments):
        """Run a command that asks no bucket."""
        return _ended(self._start(command, "--json", *arguments))

    def start(self, command="import-cur", *arguments, fault="", limit=""):
        """Start a step; ``fault`` is a value for ``FINOPS_FAULT``, ``limit`` flags of ulimit."""
        place = ("--bucket", str(self.bucket), "--prefix", "cur-reports", *self.flags)
        words = ["aws", command, "--json", *place, *arguments]
        return self._start(*words, fault=fault, limit=limit)

    def _start(self, *words, fault="", limit=""):
        environment = {name: text for name, text in os.environ.items() if not _is_setting(name)}
        environment |= {"PYTHONPATH": str(ROOT / "src"), "FINOPS_FAULT": fault}
        limited = ["/bin/sh", "-c", f'ulimit {limit} && exec "$@"', "sh"] if limit else []
        finops = [sys.executable, "-m", "finops", "--data-dir", str(self.inside or self.data)]
        return subprocess.Popen(
            [*self.enter, *limited, *finops, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=self.data.parent,
        )

    def wait_until_locked(self, process):
        """Return when the process holds the data folder, or has ended."""
        lock = self.data / ".lock"
        while process.poll() is None:
            if lock.exists() and lock.read_text().startswith(f"process {process.pid},"):
                return
            time.sleep(0.002)

    def read(self):
        """Return what a reader finds in the store."""
        held = Held()
        if not self.database.exists():
            return held
        with tempfile.TemporaryDirectory() as folder:
            # DuckDB would look for the name that the file has in the other namespace.
            copy = self.inside and shutil.copy(self.database, folder)
            with duckdb.connect(str(copy or self.database), read_only=True) as db:
                _read(db, held)
        return held


def _is_setting(name):
    """Tell whether a variable would configure the product; the S3 server needs credentials."""
    return name.startswith(("FINOPS_", "COVERAGE_")) or name in (
        "AWS_BUCKET",
        "AWS_PREFIX",
        "AWS_PROFILE",
    )


def _read(db, held):
    for period, load_id, rows, totals, delivery_id in db.execute(_LOADS).fetchall():
        held.ledger[period] = (load_id, rows, sum(totals.values(), Decimal(0)))
        held.deliveries[period] = delivery_id
    held.stages = db.execute(
        "SELECT table_name FROM duckdb_tables() WHERE table_name LIKE '%finops_stage%'"
    ).fetchall()
    held.charges = [sorted(db.execute(sql).fetchall()) for sql in (_CHARGES, _DAILY)]
    if not held.ledger:
        return
    for period, identity, usage, cost, load_id in db.execute(_ROWS).fetchall():
        held.rows[period][identity, usage, cost] += 1
        held.load_ids[period].add(load_id)


def _ended(process):
    begin = time.monotonic()
    out, err = finish(process)
    return Ended(process.returncode, out, err, time.monotonic() - begin)


def end_after(process, seconds, number=signal.SIGKILL):
    """Let a process work for a while, send it a signal and say how it ended."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    sent = time.monotonic()
    process.send_signal(number)
    out, err = finish(process)
    return Ended(process.returncode, out, err, time.monotonic() - sent)


def finish(process, timeout=200):
    """Wait for a process and return its output; none is left behind."""
    try:
        return process.communicate(timeout=timeout)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
