"""Where deliveries lie: object storage or a folder, behind one small protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from finops.config import Export
from finops.delivery import StoredObject
from finops.errors import ConfigError

MANIFEST_LIMIT = 50 << 20
Advance = Callable[[int], None]


class Storage(Protocol):
    """A bucket, read only. Keys are what the vendor wrote and never become local paths.

    All methods raise ``AccessError``, ``UnavailableError`` or ``TemporaryError`` for what
    can go wrong on the way, and ``BadDataError`` (code ``missing-object``) for a missing key.
    Where it is ``live``, an object's time is when the vendor wrote it.
    """

    url: str
    live: bool

    def list_objects(self, prefix: str) -> Iterator[StoredObject]:
        """Yield every object whose key begins with ``prefix``, in no promised order."""
        ...

    def head_object(self, key: str) -> StoredObject:
        """Return what the storage knows of one object."""
        ...

    def read_object(self, key: str, limit: int) -> tuple[bytes, StoredObject]:
        """Return the whole of a small object; more than ``limit`` bytes is bad data."""
        ...

    def download(self, stored: StoredObject, to: Path, advance: Advance) -> None:
        """Append to ``to`` what it still lacks of exactly this version of the object.

        ``advance`` is told the bytes as they come. A ``TemporaryError`` with code
        ``source-changed`` means that the object is no longer the one that was listed.
        """
        ...


def open_storage(export: Export) -> Storage:
    """Open the bucket of an export: a name or ``s3://`` URL, or a folder."""
    if not export.bucket:
        raise ConfigError(
            f"no bucket is set for the export {export.name!r}",
            do=f"set bucket in [{export.section}] of config.toml (finops init writes one),"
            " or pass --bucket",
        )
    scheme, separator, name = export.bucket.partition("://")
    if not separator and "/" in export.bucket:
        from finops.storage.folder import FolderStorage

        return FolderStorage(Path(export.bucket))
    if separator and scheme != "s3":
        raise ConfigError(
            f"{export.vendor} bills are not read from {scheme}:// ({export.bucket})",
            do="give a bucket name, s3://BUCKET or a folder",
        )
    from finops.storage.s3 import S3Storage

    return S3Storage(name if separator else export.bucket, export)
