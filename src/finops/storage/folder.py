"""A folder read as a bucket's root, for copies of buckets, samples and tests."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from finops.delivery import StoredObject
from finops.errors import AccessError, BadDataError, LocalError, TemporaryError
from finops.storage import Advance

_BLOCK = 1 << 20


class FolderStorage:
    """Objects are files; the ETag is made of size and modification time."""

    live = False

    def __init__(self, root: Path) -> None:
        """Read ``root``, which must be a folder."""
        if not root.is_dir():
            raise LocalError(
                f"{root} is not a folder" if root.exists() else f"the folder {root} does not exist",
                code="no-folder",
                do="check bucket: a value with a / in it is read as a folder",
            )
        self.root = root.resolve()
        self.url = str(root)

    def list_objects(self, prefix: str) -> Iterator[StoredObject]:
        """Yield every file below the folders that ``prefix`` names."""
        folder, _, _ = prefix.rpartition("/")
        parts = _parts(folder)
        if ".." in parts:
            return
        start = self.root.joinpath(*parts)
        wanted = "/".join([*parts, prefix.rpartition("/")[2]])
        for directory, folders, names in os.walk(start):
            folders.sort()
            for name in sorted(names):
                path = Path(directory, name)
                key = path.relative_to(self.root).as_posix()
                if key.startswith(wanted) and path.is_file():
                    yield _stored(key, path)

    def head_object(self, key: str) -> StoredObject:
        """Return size and time of one file; its key is given without empty segments."""
        return _stored("/".join(_parts(key)), self._path(key))

    def read_object(self, key: str, limit: int) -> tuple[bytes, StoredObject]:
        """Return a small file's bytes."""
        stored = self.head_object(key)
        if stored.size > limit:
            raise BadDataError(
                f"{stored.size:,} bytes where at most {limit:,} are expected",
                code="too-large",
                where=f"{self.url}/{key}",
            )
        try:
            return self._path(key).read_bytes(), stored
        except PermissionError as error:
            raise self._forbidden(key) from error

    def download(self, stored: StoredObject, to: Path, advance: Advance) -> None:
        """Copy the rest of the file, provided that it is still the same."""
        if self.head_object(stored.key).etag != stored.etag:
            raise _changed(f"{self.url}/{stored.key}")
        try:
            source = self._path(stored.key).open("rb")
        except PermissionError as error:
            raise self._forbidden(stored.key) from error
        with source, to.open("ab") as target:
            source.seek(target.tell())
            while block := source.read(_BLOCK):
                target.write(block)
                advance(len(block))
        if self.head_object(stored.key).etag != stored.etag:
            raise _changed(f"{self.url}/{stored.key}")

    def _path(self, key: str) -> Path:
        path = self.root.joinpath(*_parts(key))
        if ".." in _parts(key) or not _is_file(path):
            raise BadDataError(
                "the file is missing",
                code="missing-object",
                where=f"{self.url}/{key}",
                do="see that the whole delivery was copied, then run again",
            )
        return path

    def upload(self, file: Path, key: str) -> None:
        """Copy a file aside, then rename it."""
        target = self.root.joinpath(*_parts(key))
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.part")
        try:
            with file.open("rb") as source, part.open("wb") as copy:
                shutil.copyfileobj(source, copy, _BLOCK)
                copy.flush()
                os.fsync(copy.fileno())
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def remove_object(self, key: str) -> None:
        """Remove a file, if it is there."""
        self.root.joinpath(*_parts(key)).unlink(missing_ok=True)

    def _forbidden(self, key: str) -> AccessError:
        return AccessError("the file may not be read", where=f"{self.url}/{key}")


def _parts(key: str) -> list[str]:
    """Split a key as a file system does: empty segments and ``.`` name nothing."""
    return [part for part in key.split("/") if part not in ("", ".")]


def _is_file(path: Path) -> bool:
    """Tell whether the path is a file; a name that no file can have is none."""
    try:
        return path.is_file()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return False
        raise


def _stored(key: str, path: Path) -> StoredObject:
    status = path.stat()
    return StoredObject(
        key=key,
        size=status.st_size,
        etag=f"{status.st_size}-{status.st_mtime_ns}",
        modified=datetime.fromtimestamp(status.st_mtime, UTC),
    )


def _changed(where: str) -> TemporaryError:
    return TemporaryError("the file changed while it was read", code="source-changed", where=where)
