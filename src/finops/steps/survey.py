"""Reading listed files for the billing periods of their rows, where no manifest tells them.

What was downloaded for it is staged by ``extract-billing`` without being fetched again; what was
found stays in the state, so that each version of a file is read once.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from finops.columns import StoredColumn
from finops.config import Export
from finops.datadir import DataDir
from finops.delivery import Contents, DataFile, Delivery, StoredObject
from finops.errors import BadDataError, ConfigError, LocalError
from finops.faults import crash_point
from finops.period import BillingPeriod
from finops.run import Advance, Run, untracked
from finops.sql import Connection, query
from finops.state import State
from finops.steps.download import download_file
from finops.storage import Storage
from finops.store.database import in_memory
from finops.store.readers import (
    DataFileSource,
    SourceView,
    explain_failure,
    read_columns,
    readable,
    select_rows,
)
from finops.vendors import find_vendor

_PARALLEL = 4


@dataclass(frozen=True, slots=True)
class FileSurvey:
    """Reads files of one export; ``run`` is whose state is told what was found, if there is one."""

    data: DataDir
    storage: Storage
    export: Export
    folder: Path
    memory: State | None
    run: Run | None

    def __call__(self, files: Sequence[tuple[StoredObject, str, str]]) -> list[Contents]:
        """Return what is in each file; the same version of it is read only once."""
        whose = (self.export.vendor, self.export.name)
        known = [self.memory and self.memory.surveyed(*whose, stored) for stored, *_ in files]
        unknown = [
            _alone(self.export, *file)
            for file, contents in zip(files, known, strict=True)
            if not contents
        ]
        if unknown:
            self._fetch(unknown)
            with in_memory(self.data) as db:
                read = iter([self._read(db, file) for file in unknown])
        return [contents or next(read) for contents in known]

    def _fetch(self, files: Sequence[Delivery]) -> None:
        """Download in parallel what does not lie there yet."""
        missing = [file for file in files if not self._path(file).exists()]
        size = sum(file.bytes for file in missing)
        if not missing:
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.run:
            self.data.require_space(size, f"{self.export.source}, to download,")
        track = self.run.track if self.run else untracked
        with (
            track(f"{self.export.name} download", size) as advance,
            ThreadPoolExecutor(_PARALLEL) as workers,
        ):
            for _ in workers.map(partial(self._download, advance), missing):
                crash_point("file-surveyed")

    def _download(self, advance: Advance, file: Delivery) -> None:
        download_file(self.storage, file, file.files[0], self._path(file), advance)

    def _path(self, file: Delivery) -> Path:
        return surveyed_path(self.folder, file.files[0])

    def _read(self, db: Connection, file: Delivery) -> Contents:
        try:
            contents = _read(db, file, self._path(file), self.folder)
        except BadDataError as error:
            error.kept = "what was loaded before; the file could be of any month"
            raise
        if self.run:
            stored = file.files[0]
            whose = (file.vendor, file.export, stored.key, stored.size, stored.etag)
            self.run.state.note_surveyed(*whose, contents)
            crash_point("contents-noted")
            self.run.log("surveyed", file, file=stored.key, periods=len(contents.periods))
        return contents


@contextmanager
def surveying(
    data: DataDir, storage: Storage, export: Export, run: Run | None = None
) -> Iterator[FileSurvey]:
    """Yield a survey that works for a ``run``, or without one leaves nothing behind.

    A state that cannot be opened knows nothing; whoever looks for what is wrong says so itself.
    """
    if run:
        folder = data.surveyed(export.vendor, export.name)
        yield FileSurvey(data, storage, export, folder, run.state, run)
        return
    memory = None
    with suppress(LocalError):
        memory = State(data.state) if data.state.exists() else None
    try:
        with TemporaryDirectory(prefix="finops-") as folder_name:
            yield FileSurvey(data, storage, export, Path(folder_name), memory, None)
    finally:
        if memory:
            memory.close()


def surveyed_path(folder: Path, file: DataFile) -> Path:
    """Return where a surveyed file lies; the name is made, never taken from the key."""
    return folder / hashlib.sha256(f"{file.key}\0{file.etag}".encode()).hexdigest()[:32]


def reuse_surveyed(data: DataDir, delivery: Delivery, file: DataFile, to: Path) -> None:
    """Give a file that was surveyed to staging, so that it is not fetched again."""
    surveyed = surveyed_path(data.surveyed(delivery.vendor, delivery.export), file)
    if not surveyed.exists():
        return
    to.unlink(missing_ok=True)
    try:
        os.link(surveyed, to)
    except OSError:
        shutil.copyfile(surveyed, to)


def _alone(export: Export, stored: StoredObject, file_format: str, compression: str) -> Delivery:
    """Return a file as a delivery of its own, which is what vendors are asked about."""
    return Delivery(
        vendor=export.vendor,
        export=export.name,
        period=BillingPeriod.containing(stored.modified),
        delivery_id="",
        manifest_key="",
        manifest_etag="",
        delivered_at=stored.modified,
        shape="",
        file_format=file_format,
        compression=compression,
        files=(DataFile(stored.key, stored.size, stored.etag),),
    )


def _read(db: Connection, delivery: Delivery, path: Path, scratch: Path) -> Contents:
    vendor, key = find_vendor(delivery.vendor), delivery.files[0].key
    flat = vendor.flattens_records()
    staged = DataFileSource(path, key, delivery.file_format, delivery.compression, flat)
    with readable(staged, scratch) as source:
        columns = read_columns(db, source)
        shape = vendor.find_shape(columns, key)
        delivery = replace(delivery, shape=shape)
        vendor.check_columns(delivery, columns, key)
        view = SourceView(db, source, columns, "")
        described, _ = vendor.describe_columns(delivery, columns, (), view)
        stored = {
            column.original: StoredColumn(column.original, f"c{position}", column.type)
            for position, column in enumerate(described)
        }
        rows, values = select_rows([source], described, list(stored.values()))
        try:
            return Contents(
                shape, _periods(db, vendor.row_period(shape, stored), rows, values, key)
            )
        except duckdb.Error as error:
            raise explain_failure(db, [source], described, error) from error


def _periods(
    db: Connection, period: str, rows: str, values: list[Any], key: str
) -> dict[BillingPeriod, int]:
    """Count the rows of each billing period."""
    found = query(
        db,
        f"SELECT period, min(position), count(*) FROM (SELECT {period} AS period,"
        f" row_number() OVER () AS position FROM ({rows})) GROUP BY 1 ORDER BY 1",
        values,
    )
    periods = {}
    for text, position, count in found:
        try:
            periods[BillingPeriod.parse(text or "")] = count
        except ConfigError as error:
            raise BadDataError(
                f"{text!r} is no billing period" if text else "it names no billing period",
                code="no-period",
                where=f"{key}, row {position:,}",
                do="see what wrote this file; each row names the month that it is billed in",
            ) from error
    return periods
