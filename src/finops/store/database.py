"""Opening the store: readers get the published file, the one writer gets a clone of it.

``open_finops.duckdb`` is only ever replaced by rename, so a reader keeps a whole, unchanging
database open for as long as it likes, and a killed run leaves the old one behind.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from finops.datadir import DataDir
from finops.errors import LocalError, OutOfMemoryError, TemporaryError
from finops.faults import crash_point
from finops.focus.charges import prepare_focus
from finops.schema import schema_scripts
from finops.sql import (
    Connection,
    Row,
    identifier,
    interruptible,
    literal,
    query,
    run_script,
    run_statements,
)
from finops.store.ledger import load_ids

_STORAGE_VERSION = "v1.4.0"
_FICLONE = 0x40049409
_REBUILD = "finops rebuild: it is moved aside and made anew from the staged deliveries"
# What an older store lacks.
_CHARGES = re.compile('"focus"|charge_builds|finops.checks')
# What DuckDB says where the bytes of its file are not its own.
_DAMAGE = re.compile(
    r"corrupt|checksum|not a valid|serializ|truncated|not read|out of range|enough bytes|INTERNAL",
    re.IGNORECASE,
)


@contextmanager
def reading(data: DataDir, *, allowed_folder: Path | None = None) -> Iterator[Connection]:
    """Open the published store for reading; it touches files in ``allowed_folder`` at most.

    Raises:
        LocalError: there is no store yet, or it cannot be opened.
    """
    if not data.database.exists():
        raise LocalError(
            f"there is no database at {data.database} yet",
            code="no-database",
            do="finops aws import-cur; after finops demo add -c data/demo/config.toml",
        )
    with _explained(data.database), _connected(data, data.database, read_only=True) as db:
        _schema_version(db, data.database)
        if allowed_folder:
            query(db, "SET allowed_directories = ?", [[str(allowed_folder)]])
        for setting in ("enable_external_access = false", "lock_configuration = true"):
            query(db, f"SET {setting}")
        yield db


@contextmanager
def writing(data: DataDir, needed: int = 0) -> Iterator[Connection]:
    """Yield a clone of the store, and publish it by rename when all went well.

    Each commit inside is durable in the clone; readers see all of them at once or none. A
    run that is killed or interrupted leaves its clone to the next one, which publishes what
    was committed in it. A clone in which nothing changed is thrown away, and so is one that
    met an error. ``needed`` is how many bytes the disk must have beside the clone.
    """
    store = data.database.stat().st_size if data.database.exists() else 0
    data.require_space(store + needed, "the copy of the database, and what is loaded,")
    before = _published_content(data)
    resumed = bool(unpublished_loads(data))
    try:
        if not resumed:
            _make_clone(data)
        with _connected(data, data.next_database) as db:
            _migrate(db, data.database)
            if not resumed:
                query(db, "UPDATE finops.meta SET parent = generation, generation = uuid()")
            yield db
            changed = _content(db) != before
            query(db, "CHECKPOINT")
        crash_point("checkpointed")
        if changed:
            _publish(data.next_database, data.database)
        else:
            discard_clone(data)
    except KeyboardInterrupt:
        raise
    except duckdb.Error as error:
        discard_clone(data)
        what = f"the database cannot be written: {str(error).splitlines()[0]}"
        damaged = bool(_DAMAGE.search(what))
        raise LocalError(
            what,
            code="damaged" if damaged else "database",
            where=str(data.next_database),
            kept="the database is as it was before this run",
            do=_REBUILD if damaged else "see that disk and memory suffice, then run again",
        ) from error
    except BaseException:
        discard_clone(data)
        raise


@contextmanager
def in_memory(data: DataDir) -> Iterator[Connection]:
    """Open a database of its own to look into files, with the limits that are configured."""
    with _connected(data, Path(":memory:")) as db:
        query(db, "CREATE SCHEMA finops")
        run_script(db, "money.sql")
        yield db


def unpublished_loads(data: DataDir) -> set[str]:
    """Return the ids of loads that a killed run committed in its clone.

    There are none where the clone cannot be opened, or is not one of the published store.
    """
    if not data.next_database.exists():
        return set()
    try:
        with _connected(data, data.next_database) as db:
            same_store = _generation(db, "parent") == _published_generation(data)
            return load_ids(db) - published_loads(data) if same_store else set()
    except (LocalError, duckdb.Error):
        return set()


def published_loads(data: DataDir) -> set[str]:
    """Return the ids of all loads that the published ledger has."""
    if not data.database.exists():
        return set()
    with reading(data) as db:
        return load_ids(db)


def discard_clone(data: DataDir) -> None:
    """Remove what a run that did not end well left of its clone."""
    _remove(data.next_database)


def is_outdated(data: DataDir) -> bool:
    """Tell whether an older finops wrote the published store."""
    if not data.database.exists():
        return False
    with reading(data) as db:
        return _schema_version(db, data.database) < len(schema_scripts("store"))


def read_every_cell(db: Connection) -> None:
    """Read all tables, so that DuckDB compares every block with its checksum."""
    for schema, table in query(db, "SELECT schema_name, table_name FROM duckdb_tables()"):
        query(db, f"SELECT max(hash(cells)) FROM {identifier(schema, table)} AS cells")


def engine_limits(data: DataDir) -> tuple[str, int]:
    """Return the memory and the threads that DuckDB may take, with what is configured."""
    with _connected(data, Path(":memory:")) as db:
        ((memory, threads),) = query(
            db, "SELECT current_setting('memory_limit'), current_setting('threads')"
        )
    return str(memory), int(threads)


@contextmanager
def _connected(data: DataDir, path: Path, *, read_only: bool = False) -> Iterator[Connection]:
    """Open a database with the limits that are configured."""
    db = _connect(path, read_only=read_only)
    try:
        query(db, "SET TimeZone = 'UTC'")
        spill = f"{data.temporary}-{os.getpid()}" if read_only else str(data.temporary)
        query(db, "SET temp_directory = ?", [spill])
        if data.memory_limit:
            query(db, "SET memory_limit = ?", [data.memory_limit])
        if data.threads:
            query(db, f"SET threads = {data.threads}")
        yield db
    finally:
        db.close()


def _connect(path: Path, *, read_only: bool) -> Connection:
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    with _explained(path), interruptible():
        if not read_only:
            config["storage_compatibility_version"] = _STORAGE_VERSION
            return duckdb.connect(str(path), config=config)
        # Opened by its path, a file stays what it was for all of a process, also once replaced.
        db = duckdb.connect(config=config)
        name = identifier(path.stem)
        run_statements(db, f"ATTACH {literal(str(path))} AS {name} (READ_ONLY); USE {name}")
        return db


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Tell a damaged database from one that is in use, and from a machine at its limits."""
    try:
        yield
    except duckdb.Error as error:
        what = f"the database {path} cannot be read: {str(error).splitlines()[0]}"
        if "lock on file" in what:
            do = "close the program that has it open for writing"
            raise TemporaryError(what, code="in-use", do=do) from error
        if isinstance(error, duckdb.OutOfMemoryException):
            raise OutOfMemoryError(what, do="raise memory_limit") from error
        if isinstance(error, duckdb.CatalogException) and _CHARGES.search(what):
            what = f"the database {path} has no charges: an older finops wrote it"
            raise LocalError(what, code="no-charges", do="finops aws import-cur") from error
        if _DAMAGE.search(what):
            raise LocalError(what, code="damaged", do=_REBUILD) from error
        do = "check rights, space and memory, then run again"
        raise LocalError(what, code="database", do=do) from error


def _migrate(db: Connection, path: Path) -> None:
    """Bring the clone to the newest schema, in one transaction."""
    made = query(db, "SELECT 1 FROM duckdb_tables() WHERE schema_name = 'finops'")
    version = _schema_version(db, path) if made else 0
    scripts = schema_scripts("store")
    query(db, "BEGIN")
    for script in scripts[version:]:
        run_statements(db, script)
    run_script(db, "money.sql")
    prepare_focus(db)
    if not version:
        query(db, "INSERT INTO finops.meta (schema_version) VALUES (0)")
    query(db, "UPDATE finops.meta SET schema_version = ?", [len(scripts)])
    query(db, "COMMIT")


def _content(db: Connection) -> list[Row]:
    """Return what tells one state of the store from another."""
    return query(
        db,
        "SELECT load_id, is_current FROM finops.loads"
        " UNION ALL SELECT dataset || table_strategy, true FROM finops.exports"
        " UNION ALL SELECT concat(dataset, billing_period, fingerprint), true FROM finops.holds"
        " UNION ALL SELECT concat(dataset, billing_period, made_with), true"
        " FROM finops.charge_builds"
        " ORDER BY ALL",
    )


def _published_content(data: DataDir) -> list[Row] | None:
    """Return the content of the published store; None if an older finops wrote it."""
    if not data.database.exists():
        return []
    if is_outdated(data):
        return None
    with reading(data) as db:
        return _content(db)


def _published_generation(data: DataDir) -> str | None:
    if not data.database.exists():
        return None
    with reading(data) as db:
        return _generation(db, "generation")


def _generation(db: Connection, column: str) -> str | None:
    """Return ``generation`` or ``parent``; None before schema 2, and where there is none."""
    with suppress(duckdb.BinderException):
        ((generation,),) = query(db, f"SELECT {column} FROM finops.meta")
        return str(generation) if generation else None
    return None


def _schema_version(db: Connection, path: Path) -> int:
    """Return the version of the schema.

    Raises:
        LocalError: it is no store, or a newer finops wrote it.
    """
    try:
        ((version,),) = query(db, "SELECT schema_version FROM finops.meta")
    except (duckdb.CatalogException, ValueError) as error:
        raise LocalError(f"{path} is no finops database", code="damaged", do=_REBUILD) from error
    if version > len(schema_scripts("store")):
        raise LocalError(
            f"{path} was written by a newer finops (schema {version})",
            code="newer-schema",
            do="update finops",
        )
    return int(version)


def _make_clone(data: DataDir) -> None:
    """Copy the published store, sharing its blocks where the file system can."""
    discard_clone(data)
    if not data.database.exists():
        return
    with data.database.open("rb") as old, data.next_database.open("xb") as new:
        try:
            fcntl.ioctl(new, _FICLONE, old.fileno())
        except OSError:
            shutil.copyfileobj(old, new, 1 << 22)
    crash_point("cloned")


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
