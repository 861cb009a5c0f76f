"""The state: a SQLite work queue of deliveries, their files, and the runs.

The ledger in the store says what is loaded; this says what is in work. It may be
deleted at any time: the next run finds everything again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from finops.delivery import Contents, Delivery, StoredObject
from finops.errors import LocalError
from finops.period import BillingPeriod
from finops.schema import schema_scripts


class DeliveryState(StrEnum):
    """Where an attempt at a delivery stands."""

    DISCOVERED = "discovered"
    DOWNLOADING = "downloading"
    STAGED = "staged"
    LOADING = "loading"
    LOADED = "loaded"
    FAILED = "failed"


MOVES: dict[DeliveryState, frozenset[DeliveryState]] = {
    DeliveryState.DISCOVERED: frozenset((DeliveryState.DOWNLOADING, DeliveryState.FAILED)),
    DeliveryState.DOWNLOADING: frozenset((DeliveryState.STAGED, DeliveryState.FAILED)),
    DeliveryState.STAGED: frozenset((DeliveryState.LOADING, DeliveryState.FAILED)),
    DeliveryState.LOADING: frozenset((DeliveryState.LOADED, DeliveryState.FAILED)),
    DeliveryState.LOADED: frozenset(),
    DeliveryState.FAILED: frozenset(),
}

CRASHED = "crashed"
CRASH_LIMIT = 2
OPEN = frozenset(state for state, moves in MOVES.items() if moves)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at one delivery: a row of ``manifests``."""

    id: int
    state: DeliveryState
    delivery: Delivery
    path: Path | None
    reason: str
    run_id: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A data file that was downloaded and verified; ``sha256`` of the bytes as they lie."""

    key: str
    size: int
    etag: str
    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One invocation and its outcome."""

    run_id: str
    command: str
    started_at: str
    finished_at: str
    exit_code: int | None
    outcome: str


@dataclass(frozen=True, slots=True)
class Published:
    """What became of one period of a table in a warehouse: a row of ``publications``."""

    warehouse: str
    table_name: str
    vendor: str
    export: str
    billing_month: str
    state: str
    reason: str
    load_id: str
    row_count: int
    run_id: str
    updated_at: str = ""


class State:
    """The open state database; every change is its own transaction.

    Paths are kept relative to its folder, so that the data folder may be moved.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the database at ``path``."""
        self._root = path.parent
        with _explained(path):
            self._db = sqlite3.connect(
                path, timeout=30, isolation_level=None, check_same_thread=False
            )
        try:
            with _explained(path):
                self._db.row_factory = sqlite3.Row
                self._use_wal()
                self._migrate(path)
        except LocalError:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def _use_wal(self) -> None:
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # Of two processes that do this at once, SQLite refuses one and lets the other.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise

    def _migrate(self, path: Path) -> None:
        version = self._version()
        scripts = schema_scripts("state")
        if version > len(scripts):
            raise LocalError(
                f"the state {path} was written by a newer finops (schema {version})",
                code="newer-schema",
                do="update finops",
            )
        if version < len(scripts):
            with self._transaction():
                # Another process may have done it meanwhile.
                for script in scripts[self._version() :]:
                    for statement in script.split(";\n"):
                        self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {len(scripts)}")

    def _version(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def discover(self, delivery: Delivery, run_id: str) -> Attempt:
        """Return the open attempt at this very delivery, or begin one.

        Open attempts at other deliveries of the same export and period are superseded.
        """
        same = self.supersede(delivery)
        if same:
            return self._renew(same, delivery.manifest_etag)
        with self._transaction():
            row = self._db.execute(
                "INSERT INTO manifests (vendor, export, manifest_id, billing_month, state,"
                " fingerprint, delivery, run_id, discovered_at, updated_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
                (
                    delivery.vendor,
                    delivery.export,
                    delivery.delivery_id,
                    str(delivery.period),
                    DeliveryState.DISCOVERED,
                    delivery.fingerprint,
                    delivery.to_json(),
                    run_id,
                    _now(),
                    _now(),
                ),
            ).fetchone()
        return self.attempt(row["id"])

    def _renew(self, attempt: Attempt, manifest_etag: str) -> Attempt:
        """Note that the manifest was written anew and lists the same delivery."""
        renewed = replace(attempt.delivery, manifest_etag=manifest_etag)
        with self._transaction():
            self._db.execute(
                "UPDATE manifests SET delivery = ? WHERE id = ?", (renewed.to_json(), attempt.id)
            )
        return self.attempt(attempt.id)

    def supersede(self, delivery: Delivery) -> Attempt | None:
        """Close open attempts at other deliveries of the period; return the one at this."""
        same = None
        for attempt in self.attempts(delivery.vendor, delivery.export, OPEN):
            if attempt.delivery.period != delivery.period:
                continue
            if attempt.delivery.fingerprint == delivery.fingerprint:
                same = attempt
            else:
                self.fail(attempt, "superseded")
        return same

    def attempt(self, attempt_id: int) -> Attempt:
        """Return one attempt as it stands now."""
        row = self._db.execute("SELECT * FROM manifests WHERE id = ?", (attempt_id,)).fetchone()
        return self._attempt(row)

    def attempts(
        self,
        vendor: str | None = None,
        export: str | None = None,
        states: frozenset[DeliveryState] | None = None,
    ) -> list[Attempt]:
        """Return attempts, newest billing period first, then newest attempt first."""
        rows = self._db.execute(
            "SELECT * FROM manifests WHERE vendor = coalesce(?, vendor)"
            " AND export = coalesce(?, export) ORDER BY billing_month DESC, id DESC",
            (vendor, export),
        ).fetchall()
        found = [self._attempt(row) for row in rows]
        return [attempt for attempt in found if states is None or attempt.state in states]

    def move(
        self, attempt: Attempt, to: DeliveryState, *, reason: str = "", path: Path | None = None
    ) -> Attempt:
        """Move an attempt on; only the moves of ``MOVES`` are made.

        Raises:
            LocalError: the move is not allowed, or another process moved it meanwhile.
        """
        moved = 0
        if to in MOVES[attempt.state]:
            with self._transaction():
                moved = self._db.execute(
                    "UPDATE manifests SET state = ?, reason = ?, path = coalesce(?, path),"
                    " updated_at = ? WHERE id = ? AND state = ?",
                    (to, reason, path and self._relative(path), _now(), attempt.id, attempt.state),
                ).rowcount
        if not moved:
            raise LocalError(
                f"the delivery {attempt.delivery.delivery_id} of {attempt.delivery.period} "
                f"cannot go from {attempt.state} to {to}",
                code="state-move",
                do="run the import again: it begins with what the store says",
            )
        return self.attempt(attempt.id)

    def fail(self, attempt: Attempt, reason: str) -> Attempt:
        """Move an open attempt to ``failed``."""
        return self.move(attempt, DeliveryState.FAILED, reason=reason)

    def crashes(self, delivery: Delivery) -> int:
        """Count the loads of this very delivery that killed the process, since one went well."""
        ((count,),) = self._db.execute(
            "SELECT count(*) FROM manifests WHERE fingerprint = ?1 AND reason = ?2 AND id > (SELECT"
            " coalesce(max(id), 0) FROM manifests WHERE fingerprint = ?1 AND state = ?3)",
            (delivery.fingerprint, CRASHED, DeliveryState.LOADED),
        ).fetchall()
        return int(count)

    def last_run_was_killed(self) -> bool:
        """Tell whether the run before the present one never came to its end."""
        runs = self.runs(2)
        return len(runs) > 1 and runs[1].exit_code is None

    def set_path(self, attempt: Attempt, path: Path) -> Attempt:
        """Note the staging folder of an attempt."""
        with self._transaction():
            self._db.execute(
                "UPDATE manifests SET path = ? WHERE id = ?", (self._relative(path), attempt.id)
            )
        return self.attempt(attempt.id)

    def add_staged_file(self, delivery: Delivery, file: StagedFile) -> None:
        """Note a verified file; a later download of the same place replaces the note."""
        with self._transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    self._relative(file.path),
                    delivery.vendor,
                    delivery.export,
                    file.key,
                    file.size,
                    file.etag,
                    file.sha256,
                    _now(),
                ),
            )

    def staged_file(self, path: Path) -> StagedFile | None:
        """Return the verified file that was noted at ``path``."""
        row = self._db.execute(
            "SELECT * FROM files WHERE path = ?", (self._relative(path),)
        ).fetchone()
        if row is None:
            return None
        return StagedFile(row["key"], row["size"], row["etag"], path, row["sha256"])

    def forget_files(self, folder: Path) -> None:
        """Forget the files of a staging folder that is removed."""
        with self._transaction():
            self._db.execute(
                "DELETE FROM files WHERE substr(path, 1, length(?)) = ?",
                (f"{self._relative(folder)}/",) * 2,
            )

    def note_surveyed(
        self, vendor: str, export: str, stored: StoredObject, contents: Contents
    ) -> None:
        """Note what is in a data file, in place of what an earlier version of it had."""
        periods = json.dumps({str(period): rows for period, rows in contents.periods.items()})
        file = (stored.key, stored.size, stored.etag)
        with self._transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO surveyed VALUES (?, ?, ?, ?, ?, ?, ?)",
                (vendor, export, *file, contents.shape, periods),
            )

    def surveyed(self, vendor: str, export: str, stored: StoredObject) -> Contents | None:
        """Return what was found in this version of a data file."""
        row = self._db.execute(
            "SELECT shape, periods FROM surveyed"
            " WHERE (vendor, export, key, size, etag) = (?, ?, ?, ?, ?)",
            (vendor, export, stored.key, stored.size, stored.etag),
        ).fetchone()
        if row is None:
            return None
        periods = json.loads(row["periods"])
        return Contents(
            row["shape"], {BillingPeriod.parse(period): rows for period, rows in periods.items()}
        )

    def start_run(self, run_id: str, command: str) -> None:
        """Note that a run began; runs that never ended were killed."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO runs (run_id, command, started_at) VALUES (?, ?, ?)",
                (run_id, command, _now()),
            )

    def finish_run(self, run_id: str, exit_code: int, outcome: str) -> None:
        """Note how a run ended."""
        with self._transaction():
            self._db.execute(
                "UPDATE runs SET finished_at = ?, exit_code = ?, outcome = ? WHERE run_id = ?",
                (_now(), exit_code, outcome, run_id),
            )

    def runs(self, limit: int = 20) -> list[RunRecord]:
        """Return the latest runs, newest first."""
        rows = self._db.execute(
            "SELECT run_id, command, started_at, coalesce(finished_at, '') AS finished_at,"
            " exit_code, outcome FROM runs ORDER BY started_at DESC, rowid DESC LIMIT ?",
            (limit,),
        ).fetchall()
        return [RunRecord(**row) for row in rows]

    def note_published(self, published: Published) -> None:
        """Note what became of a period in a warehouse, in place of what was noted before."""
        values = {**asdict(published), "updated_at": _now()}
        places = ", ".join(f":{name}" for name in values)
        with self._transaction():
            self._db.execute(
                f"INSERT OR REPLACE INTO publications ({', '.join(values)}) VALUES ({places})",
                values,
            )

    def published(self, vendor: str, export: str | None = None) -> list[Published]:
        """Return what was published where, newest billing period first."""
        rows = self._db.execute(
            "SELECT * FROM publications WHERE vendor = ? AND export = coalesce(?, export)"
            " ORDER BY warehouse, table_name, billing_month DESC",
            (vendor, export),
        ).fetchall()
        return [Published(**row) for row in rows]

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _attempt(self, row: sqlite3.Row) -> Attempt:
        return Attempt(
            id=row["id"],
            state=DeliveryState(row["state"]),
            delivery=Delivery.from_json(row["delivery"]),
            path=self._root / row["path"] if row["path"] else None,
            reason=row["reason"],
            run_id=row["run_id"],
            updated_at=row["updated_at"],
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise LocalError(
            f"the state {path} cannot be opened: {error}",
            code="state",
            do=f"move {path.name} away and run again: it is made anew from the store",
        ) from error
