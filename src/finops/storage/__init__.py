"""Where deliveries lie: object storage or a folder, behind one small protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Protocol

from finops.config import Export
from finops.delivery import StoredObject
from finops.errors import ConfigError

MANIFEST_LIMIT = 50 << 20
Advance = Callable[[int], None]


class Storage(Protocol):
    """A bucket. Keys are what the vendor wrote and never become local paths.

    It is read, and never written to but by ``upload``, where a user named it as ``--out``.

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

    def upload(self, file: Path, key: str) -> None:
        """Put a file there under a key of ours; it appears whole, or not at all."""
        ...

    def remove_object(self, key: str) -> None:
        """Remove an object, if it is there."""
        ...


class _Kind(NamedTuple):
    """How to open a URL, how many of its segments name the bucket, and what it takes."""

    open: Callable[[str, Export], Storage]
    segments: int = 1
    packages: tuple[str, ...] = ()


def _s3(url: str, export: Export) -> Storage:
    from finops.storage.s3 import S3Storage

    return S3Storage(url, export)


def _gcs(url: str, export: Export) -> Storage:
    from finops.storage.gcs import GcsStorage

    return GcsStorage(url, export)


def _azure(url: str, export: Export) -> Storage:
    from finops.storage.azure import AzureStorage

    return AzureStorage(url, export)


def _bigquery(url: str, export: Export) -> Storage:
    from finops.storage.bigquery import BigQueryTable

    return BigQueryTable(url, export)


_AZURE = _Kind(_azure, 2, ("azure-storage-blob", "azure-identity"))
_KINDS = {
    "s3": _Kind(_s3, packages=("boto3",)),
    "gs": _Kind(_gcs, packages=("google-cloud-storage",)),
    "az": _AZURE,
    "https": _AZURE,
    "bq": _Kind(_bigquery, packages=("google-cloud-bigquery",)),
}
_NAMED_BY = {"aws": "s3", "gcp": "gs"}


def open_output(out: str, export: Export) -> tuple[Storage, str]:
    """Open what files are to be written below, and say what their keys begin with.

    ``out`` is a folder, which is made, or the URL of a bucket with a prefix, for example
    ``s3://BUCKET/PREFIX``, reached as the export's own.
    """
    if not out.strip():
        raise ConfigError("--out is empty", do="name a folder, or s3://BUCKET/PREFIX")
    scheme, separator, place = out.partition("://")
    if separator and scheme != "file":
        bucket, prefix = split_url(out)
        return open_storage(replace(export, bucket=bucket)), f"{prefix}/".lstrip("/")
    from finops.storage.folder import FolderStorage

    folder = Path(place if separator else out)
    folder.mkdir(parents=True, exist_ok=True)
    return FolderStorage(folder), ""


def split_url(url: str) -> tuple[str, str]:
    """Return the URL of a bucket, and the key in it, of what is addressed."""
    scheme, _, place = url.partition("://")
    parts = place.strip("/").split("/")
    named = _KINDS[scheme].segments if scheme in _KINDS else 1
    return f"{scheme}://{'/'.join(parts[:named])}", "/".join(parts[named:])


def open_storage(export: Export) -> Storage:
    """Open the bucket of an export: a URL, a name where the vendor has buckets, or a folder."""
    if not export.bucket:
        raise ConfigError(
            f"no bucket is set for the export {export.name!r}",
            do=f"set bucket in [{export.section}] of config.toml (finops init writes one),"
            " or pass --bucket",
        )
    if "/" in export.bucket and "://" not in export.bucket:
        from finops.storage.folder import FolderStorage

        return FolderStorage(Path(export.bucket))
    scheme = _scheme(export)
    if scheme not in _KINDS:
        raise ConfigError(
            f"{export.bucket!r} is no storage that finops knows for {export.vendor}",
            do="write az://ACCOUNT/CONTAINER, s3://BUCKET, gs://BUCKET or a folder",
        )
    url = export.bucket if "://" in export.bucket else f"{scheme}://{export.bucket}"
    return _KINDS[scheme].open(url, export)


def packages(export: Export) -> tuple[str, ...]:
    """Name the packages that the export's storage is reached with; a folder needs none."""
    kind = _KINDS.get(_scheme(export))
    return kind.packages if kind else ()


def _scheme(export: Export) -> str:
    """Return the scheme of the bucket's URL, or of the vendor's own where it is a mere name."""
    scheme, separator, _ = export.bucket.partition("://")
    named = "" if "/" in export.bucket else _NAMED_BY.get(export.vendor, "")
    return scheme if separator else named
