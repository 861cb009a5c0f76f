"""Opening the store: readers get the published file, the one writer gets a clone of it.

``open_finops.duckdb`` is only ever replaced by rename, so a reader keeps a whole, unchanging
database open for as long as it likes, and a killed run leaves the old one behind.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from finops.datadir import DataDir
from finops.errors import LocalError
from finops.faults import crash_point
from finops.store.sql import Connection, Row, query, run_script

SCHEMA_VERSION = 1
_STORAGE_VERSION = "v1.4.0"
_FICLONE = 0x40049409


@contextmanager
def reading(path: Path, *, allowed_folder: Path | None = None) -> Iterator[Connection]:
    """Open the published store for reading; it touches files in ``allowed_folder`` at most.

    Raises:
        LocalError: there is no store yet, or it cannot be opened.
    """
    if not path.exists():
        raise LocalError(
            f"there is no database at {path} yet",
            code="no-database",
            do="finops aws import-cur; after finops demo add -c data/demo/config.toml",
        )
    db = _connect(path, read_only=True)
    try:
        _check_version(db, path)
        if allowed_folder:
            query(db, "SET allowed_directories = ?", [[str(allowed_folder)]])
        for setting in ("enable_external_access = false", "lock_configuration = true"):
            query(db, f"SET {setting}")
        yield db
    finally:
        db.close()


@contextmanager
def writing(data: DataDir) -> Iterator[Connection]:
    """Clone the store, yield the clone, and publish it by rename when all went well.

    Each commit inside is durable in the clone; readers see all of them at once or none.
    A clone in which nothing was loaded or moved is thrown away.
    """
    _remove(data.next_database)
    if data.database.exists():
        _clone(data.database, data.next_database)
        crash_point("cloned")
    try:
        db = _connect(data.next_database)
        try:
            query(db, "SET temp_directory = ?", [str(data.temporary)])
            _prepare(db, data.database)
            before = _content(db)
            yield db
            changed = _content(db) != before
            query(db, "CHECKPOINT")
        finally:
            db.close()
        crash_point("checkpointed")
        if changed:
            _publish(data.next_database, data.database)
        else:
            _remove(data.next_database)
    except duckdb.Error as error:
        _remove(data.next_database)
        raise LocalError(
            f"the database cannot be written: {str(error).splitlines()[0]}",
            code="database",
            where=str(data.next_database),
            kept="the database is as it was before this run",
            do="see that disk and memory suffice, then run again",
        ) from error
    except BaseException:
        _remove(data.next_database)
        raise


def _connect(path: Path, *, read_only: bool = False) -> Connection:
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    if not read_only:
        config["storage_compatibility_version"] = _STORAGE_VERSION
    try:
        db = duckdb.connect(str(path), read_only=read_only, config=config)
    except duckdb.Error as error:
        raise LocalError(
            f"the database {path} cannot be opened: {str(error).splitlines()[0]}",
            code="database",
            do="move it away and run import-cur: it is made anew from the bucket",
        ) from error
    query(db, "SET TimeZone = 'UTC'")
    return db


def _prepare(db: Connection, path: Path) -> None:
    if query(db, "SELECT 1 FROM duckdb_tables() WHERE schema_name = 'finops'"):
        _check_version(db, path)
    query(db, "BEGIN")
    run_script(db, "store/schema.sql")
    run_script(db, "money.sql")
    if not query(db, "SELECT schema_version FROM finops.meta"):
        query(db, "INSERT INTO finops.meta VALUES (?)", [SCHEMA_VERSION])
    query(db, "COMMIT")


def _content(db: Connection) -> list[Row]:
    """Return what tells one state of the store from another."""
    return query(
        db,
        "SELECT load_id, is_current FROM finops.loads"
        " UNION ALL SELECT dataset || table_strategy, true FROM finops.exports ORDER BY ALL",
    )


def _check_version(db: Connection, path: Path) -> None:
    try:
        ((version,),) = query(db, "SELECT schema_version FROM finops.meta")
    except (duckdb.Error, ValueError) as error:
        raise LocalError(
            f"{path} is not a finops database",
            code="database",
            do="move it away and run import-cur: it is made anew from the bucket",
        ) from error
    if version > SCHEMA_VERSION:
        raise LocalError(
            f"{path} was written by a newer finops (schema {version})",
            code="newer-schema",
            do="update finops",
        )


def _clone(source: Path, target: Path) -> None:
    """Copy a file, sharing its blocks where the file system can."""
    with source.open("rb") as old, target.open("xb") as new:
        try:
            fcntl.ioctl(new, _FICLONE, old.fileno())
        except OSError:
            shutil.copyfileobj(old, new, 1 << 22)


def _publish(new: Path, published: Path) -> None:
    _sync(new)
    crash_point("synced")
    new.replace(published)
    crash_point("published")
    _sync(published.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(database: Path) -> None:
    for path in (database, database.with_name(database.name + ".wal")):
        path.unlink(missing_ok=True)
