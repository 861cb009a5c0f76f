"""Downloading one data file: resumed, verified, and only then given its name."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from finops.delivery import DataFile, Delivery, StoredObject
from finops.errors import BadDataError
from finops.faults import crash_point
from finops.integrity import check_length, verify_file
from finops.run import Advance
from finops.state import StagedFile
from finops.storage import Storage


def download_file(
    storage: Storage, delivery: Delivery, file: DataFile, path: Path, advance: Advance
) -> StagedFile:
    """Fetch one file to a temporary name, verify it, and only then give it its own.

    Damage is most likely done on the way, so a damaged file is fetched once more.
    """
    part = part_of(path)
    fetch = partial(_fetch, storage, delivery, file, part, advance)
    try:
        sha256 = fetch()
    except BadDataError as error:
        if error.code != "damaged-file":
            raise
        sha256 = fetch()
    part.replace(path)
    crash_point("file-verified")
    return StagedFile(file.key, file.size, file.etag, path, sha256)


def part_of(path: Path) -> Path:
    """Return the temporary name of a file on its way."""
    return path.with_name(path.name + ".part")


def _fetch(
    storage: Storage, delivery: Delivery, file: DataFile, part: Path, advance: Advance
) -> str:
    """Complete ``part`` and return its SHA-256; of bad data nothing stays."""
    if part.exists():
        advance(part.stat().st_size)
    listed = StoredObject(file.key, file.size, file.etag, delivery.delivered_at)
    url = f"{storage.url}/{file.key}"
    try:
        storage.download(listed, part, advance)
        crash_point("file-complete")
        check_length(part, url, file.size)
        return verify_file(part, url, delivery.file_format, delivery.compression)
    except BadDataError:
        if part.exists():
            advance(-part.stat().st_size)
            part.unlink()
        raise
