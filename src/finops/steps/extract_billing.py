"""``extract-billing``: download and verify the data files of queued deliveries."""

from __future__ import annotations

import hashlib
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from finops.config import Export
from finops.delivery import DataFile, Delivery
from finops.errors import TemporaryError
from finops.faults import crash_point
from finops.integrity import sha256_of
from finops.run import Advance, Outcome, PeriodResult, Run
from finops.state import Attempt, DeliveryState, StagedFile
from finops.steps.attempts import open_attempts, settle
from finops.steps.download import download_file, part_of
from finops.steps.extract_manifests import extract_manifest
from finops.steps.list_manifests import list_manifests
from finops.steps.survey import reuse_surveyed
from finops.storage import Storage, open_storage

DELIVERY_NAME = "delivery.json"
SUMS_NAME = "SHA256SUMS"
_PARALLEL = 4
_RESTARTS = 3
_PACKED = {"gzip": ".gz", "zip": ".zip"}


def extract_billing(run: Run, export: Export) -> list[PeriodResult]:
    """Stage every queued delivery: all its files, complete and as the manifest lists them.

    A delivery that changes meanwhile is begun again, at most three times.
    """
    queued = open_attempts(run, export, DeliveryState.DISCOVERED)
    storage = open_storage(export) if queued else None
    results = [_stage(run, export, storage, attempt, _RESTARTS) for attempt in queued if storage]
    shutil.rmtree(run.data.surveyed(export.vendor, export.name), ignore_errors=True)
    return results


def staged_path(folder: Path, position: int, delivery: Delivery) -> Path:
    """Return where a delivery's file lies; the name is made, never taken from the key."""
    file = delivery.files[position]
    packed = "" if delivery.file_format == "parquet" else _PACKED.get(delivery.compression, "")
    ending = f".{delivery.file_format}{packed}"
    version = hashlib.sha256(f"{file.key}\0{file.etag}".encode()).hexdigest()[:8]
    return folder / f"{position + 1:04}-{version}{ending}"


def _stage(
    run: Run, export: Export, storage: Storage, attempt: Attempt, restarts: int
) -> PeriodResult:
    result = settle(run, export, attempt, partial(_download, run, storage))
    changed = result.error and result.error.code == "source-changed"
    if not changed or not restarts:
        return result
    again = _rediscover(run, export, storage, attempt)
    return _stage(run, export, storage, again, restarts - 1) if again else result


def _rediscover(run: Run, export: Export, storage: Storage, attempt: Attempt) -> Attempt | None:
    """Begin again with what the bucket holds now of the same period."""
    period = attempt.delivery.period
    only = replace(export, start_date=period, end_date=period)
    for found in list_manifests(run.data, only, run.state):
        if isinstance(found, Delivery):
            again = run.state.discover(found, run.run_id)
            copied = settle(run, export, again, partial(extract_manifest, run, storage))
            return None if copied.error else run.state.attempt(again.id)
    return None


def _download(run: Run, storage: Storage, attempt: Attempt) -> PeriodResult:
    delivery = attempt.delivery
    folder = run.data.staging(delivery)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_parts(folder)
    attempt = run.state.move(attempt, DeliveryState.DOWNLOADING, path=folder)
    crash_point("downloading")
    with run.track(f"{delivery.period} download", delivery.bytes) as advance:
        _download_files(run, storage, delivery, folder, advance)
    _check_unchanged(storage, delivery)
    crash_point("source-checked")
    _note_delivery(run, delivery, folder)
    crash_point("delivery-noted")
    run.state.move(attempt, DeliveryState.STAGED)
    crash_point("staged")
    run.log("staged", delivery, files=len(delivery.files), bytes=delivery.bytes)
    return PeriodResult.of(delivery, Outcome.STAGED)


def _note_delivery(run: Run, delivery: Delivery, folder: Path) -> None:
    """Write beside the files what they are, so that the store can be made again from them."""
    paths = [staged_path(folder, position, delivery) for position in range(len(delivery.files))]
    noted = [file for path in paths if (file := run.state.staged_file(path))]
    sums = "".join(f"{file.sha256}  {file.path.name}\n" for file in noted)
    (folder / SUMS_NAME).write_text(sums, "utf-8")
    (folder / DELIVERY_NAME).write_text(delivery.to_json(), "utf-8")


def _remove_parts(folder: Path) -> None:
    """Remove what was begun of other deliveries of the period: nobody will go on with it."""
    for part in folder.parent.glob("*/*.part"):
        if part.parent != folder:
            part.unlink()


def _download_files(
    run: Run, storage: Storage, delivery: Delivery, folder: Path, advance: Advance
) -> None:
    """Download in parallel; note each verified file at once, so that none is fetched twice."""
    missing = []
    for position, file in enumerate(delivery.files):
        path = staged_path(folder, position, delivery)
        if _is_staged(run, file, path):
            advance(file.size)
        else:
            missing.append((file, path))
    run.data.require_space(
        sum(file.size for file, _ in missing), f"{delivery.period}, to download,"
    )

    def fetch(wanted: tuple[DataFile, Path]) -> StagedFile:
        began = time.monotonic()
        reuse_surveyed(run.data, delivery, wanted[0], part_of(wanted[1]))
        staged = download_file(storage, delivery, *wanted, advance)
        seconds = round(time.monotonic() - began, 3)
        run.log("downloaded", delivery, file=staged.key, bytes=staged.size, seconds=seconds)
        return staged

    with ThreadPoolExecutor(_PARALLEL) as workers:
        for staged in workers.map(fetch, missing):
            run.state.add_staged_file(delivery, staged)
            crash_point("file-noted")


def _is_staged(run: Run, file: DataFile, path: Path) -> bool:
    noted = run.state.staged_file(path)
    if noted is None or (noted.key, noted.size, noted.etag) != (file.key, file.size, file.etag):
        return False
    return is_whole(noted)


def is_whole(file: StagedFile) -> bool:
    """Tell whether a staged file is still the one that was verified."""
    return file.path.exists() and sha256_of(file.path) == file.sha256


def _check_unchanged(storage: Storage, delivery: Delivery) -> None:
    """Compare manifest and files with the bucket once more, after the last byte came."""
    expected = delivery.manifests | {file.key: file.etag for file in delivery.files}
    with ThreadPoolExecutor(_PARALLEL) as workers:
        found = list(workers.map(storage.head_object, expected))
    for (key, etag), stored in zip(expected.items(), found, strict=True):
        if stored.etag != etag:
            raise TemporaryError(
                "the delivery changed while it was downloaded",
                code="source-changed",
                where=f"{storage.url}/{key}",
                do="run again: the newer delivery is taken",
            )
