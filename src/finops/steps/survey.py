"""Reading listed files for the billing periods of their rows, where no manifest tells them.

What was downloaded for it is staged by ``extract-billing`` without being fetched again; what was
found stays in the state, so that each version of a file is read once.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from finops.columns import StoredColumn
from finops.config import Export
from finops.datadir import DataDir
from finops.delivery import Contents, DataFile, Delivery, StoredObject
from finops.errors import BadDataError, ConfigError
from finops.period import BillingPeriod
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


@dataclass(frozen=True, slots=True)
class FileSurvey:
    """Reads files of one export; ``notes`` is where what was found is written down, if it is."""

    data: DataDir
    storage: Storage
    export: Export
    folder: Path
    memory: State | None
    notes: State | None

    def __call__(self, stored: StoredObject, file_format: str, compression: str) -> Contents:
        """Return what is in a file; the same version of it is read only once."""
        whose = (self.export.vendor, self.export.name)
        known = self.memory.surveyed(*whose, stored) if self.memory else None
        if known:
            return known
        delivery = _alone(self.export, stored, file_format, compression)
        path = surveyed_path(self.folder, delivery.files[0])
        if not path.exists():
            if self.notes:
                self.data.require_space(stored.size, f"{stored.key}, to download,")
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            download_file(self.storage, delivery, delivery.files[0], path, lambda _amount: None)
        contents = _read(self.data, delivery, path, self.folder)
        if self.notes:
            self.notes.note_surveyed(*whose, stored, contents)
        return contents


@contextmanager
def surveying(
    data: DataDir, storage: Storage, export: Export, state: State | None = None
) -> Iterator[FileSurvey]:
    """Yield a survey that works for a run, or without its ``state`` leaves nothing behind."""
    if state:
        folder = data.surveyed(export.vendor, export.name)
        yield FileSurvey(data, storage, export, folder, state, state)
        return
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


def _read(data: DataDir, delivery: Delivery, path: Path, scratch: Path) -> Contents:
    vendor, key = find_vendor(delivery.vendor), delivery.files[0].key
    flat = vendor.flattens_records()
    staged = DataFileSource(path, key, delivery.file_format, delivery.compression, flat)
    with in_memory(data) as db, readable(staged, scratch) as source:
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
                f"{text or 'nothing'!r} is no billing period",
                code="no-period",
                where=f"{key}, row {position:,}",
                do="see what wrote this file; each row names the month that it is billed in",
            ) from error
    return periods
