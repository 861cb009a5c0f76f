"""The data folder: where everything lies, and the lock that lets one run work in it."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO

from finops.delivery import Delivery
from finops.errors import LocalError, TemporaryError
from finops.period import BillingPeriod

_LOCK_PAUSE = 0.2
_HOLDER_LOOKS = 10


@dataclass(frozen=True, slots=True)
class DataDir:
    """The paths below the data folder, and what the database may take of the machine.

    An empty ``memory_limit`` and no ``threads`` leave it to DuckDB, which takes 80 % of the
    memory and all cores of the machine, or of the container that it runs in.
    """

    root: Path
    temp_dir: Path | None = None
    memory_limit: str = ""
    threads: int = 0

    @property
    def database(self) -> Path:
        """The store that readers open; it is only ever replaced by rename.

        Not ``finops.duckdb``: DuckDB names the catalog after the file, and ``finops.loads``
        would then be ambiguous between the catalog and the schema ``finops``.
        """
        return self.root / "open_finops.duckdb"

    @property
    def next_database(self) -> Path:
        """The clone that a run writes; nobody else opens it."""
        return self.root / "open_finops.next.duckdb"

    @property
    def state(self) -> Path:
        """The SQLite work queue."""
        return self.root / "state.db"

    @property
    def temporary(self) -> Path:
        """What a run unpacks or spills; emptied when a run begins, so it is nobody else's."""
        if self.temp_dir is None:
            return self.root / "tmp"
        return self.temp_dir / f"finops-{sha256(bytes(self.root.resolve())).hexdigest()[:12]}"

    def staging(self, delivery: Delivery) -> Path:
        """Return the folder of one delivery's files; no part of it comes from a key."""
        return (
            self.staged_period(delivery.vendor, delivery.export, delivery.period)
            / f"{delivery.delivered_at:%Y%m%dT%H%M%S}-"
            f"{delivery.fingerprint[:12]}"
        )

    def staged_period(self, vendor: str, export: str, period: BillingPeriod) -> Path:
        """Return the folder of all staged deliveries of one export and period."""
        return self.root / "staging" / vendor / export / str(period)

    def surveyed(self, vendor: str, export: str) -> Path:
        """Return the folder of files that were read for their billing periods, to be staged."""
        return self.root / "surveyed" / vendor / export

    @contextmanager
    def locked(self, owner: str, timeout: float = 0) -> Iterator[None]:
        """Hold the folder for one run; the kernel frees it when the process ends.

        Raises:
            TemporaryError: another run still works in it after ``timeout`` seconds.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = (self.root / ".lock").open("a+", encoding="utf-8")
        except OSError as error:
            raise LocalError(f"the data folder {self.root} cannot be written: {error}") from error
        with lock:
            if not _acquired(lock, time.monotonic() + timeout):
                raise TemporaryError(
                    f"another run works in {self.root}: {_holder(lock)}",
                    code="locked",
                    do="wait for it to end, or let --lock-timeout SECONDS wait",
                )
            lock.truncate(0)
            lock.write(f"process {os.getpid()}, {owner}")
            lock.flush()
            self._empty_temporary()
            try:
                yield
            finally:
                lock.truncate(0)

    def require_space(self, needed: int, purpose: str) -> None:
        """Refuse to begin what the disk cannot hold; ``needed`` in bytes.

        Raises:
            LocalError: fewer bytes are free.
        """
        free = shutil.disk_usage(self.root).free
        if free < needed:
            raise LocalError(
                f"{purpose} needs about {needed:,} bytes, and {free:,} are free",
                code="disk-space",
                where=str(self.root),
                kept="nothing was begun",
                do="make room, lower keep_deliveries or keep_periods, or choose another --data-dir",
            )

    def _empty_temporary(self) -> None:
        shutil.rmtree(self.temporary, ignore_errors=True)
        try:
            self.temporary.mkdir(mode=0o700, parents=True)
        except OSError as error:
            raise LocalError(f"{self.temporary} cannot be written: {error}") from error


def _acquired(lock: IO[str], deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_LOCK_PAUSE)
        else:
            return True


def _holder(lock: IO[str]) -> str:
    """Return what the run that works wrote down; it does so right after it got the lock."""
    for _ in range(_HOLDER_LOOKS):
        lock.seek(0)
        if holder := lock.read().strip():
            return holder
        time.sleep(_LOCK_PAUSE)
    return "unknown"
