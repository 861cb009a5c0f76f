"""A delivery: one refresh of one export for one billing period, as its manifest lists it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Protocol

from finops.errors import FinopsError
from finops.period import BillingPeriod


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object in storage; ``etag`` changes when the content does.

    ``size`` in bytes, or 0 where it shows only when the object is read.
    """

    key: str
    size: int
    etag: str
    modified: datetime


@dataclass(frozen=True, slots=True)
class DataFile:
    """One CSV or Parquet file of a delivery, as the listing showed it; ``size`` in bytes.

    ``label`` is what the vendor has to know of it again when it is loaded; ``rows`` is how
    many the manifest says there are.
    """

    key: str
    size: int
    etag: str
    label: str = ""
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class ManifestColumn:
    """A column that a manifest announces; ``type`` is the vendor's word, or empty."""

    name: str
    type: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a manifest says: which data files are the whole billing period.

    ``shape`` is the vendor's name for the column set, for example ``v1``;
    ``file_format`` is ``csv``, ``parquet`` or ``json`` (JSON lines), ``compression`` is ``none``,
    ``gzip`` or ``zip``.
    ``manifest_key`` is empty where the vendor wrote no manifest; ``more_manifests`` are there
    where a delivery is made of several runs.
    """

    vendor: str
    export: str
    period: BillingPeriod
    delivery_id: str
    manifest_key: str
    manifest_etag: str
    delivered_at: datetime
    shape: str
    file_format: str
    compression: str
    files: tuple[DataFile, ...]
    columns: tuple[ManifestColumn, ...] = ()
    notices: tuple[str, ...] = ()
    more_manifests: tuple[DataFile, ...] = ()

    @property
    def manifests(self) -> dict[str, str]:
        """The ETags of all manifests, by key."""
        first = {self.manifest_key: self.manifest_etag} if self.manifest_key else {}
        return first | {manifest.key: manifest.etag for manifest in self.more_manifests}

    @property
    def bytes(self) -> int:
        """Size of all data files together, as stored at the vendor."""
        return sum(file.size for file in self.files)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the delivery id and every key, size and ETag.

        AWS overwrites files in place, so names alone do not tell deliveries apart.
        """
        parts = [self.vendor, self.export, str(self.period), self.delivery_id]
        parts += sorted(f"{file.key}\0{file.size}\0{file.etag}" for file in self.files)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def to_json(self) -> str:
        """Write it down, for the state and beside its staged files."""
        plain = asdict(self) | {
            "period": str(self.period),
            "delivered_at": self.delivered_at.isoformat(),
            "files": [_without_blanks(asdict(file)) for file in self.files],
        }
        return json.dumps(plain)

    @classmethod
    def from_json(cls, text: str) -> Delivery:
        """Read what ``to_json`` wrote."""
        plain: Mapping[str, Any] = json.loads(text)
        return cls(
            **{
                **plain,
                "period": BillingPeriod.parse(plain["period"]),
                "delivered_at": datetime.fromisoformat(plain["delivered_at"]),
                "files": tuple(DataFile(**file) for file in plain["files"]),
                "columns": tuple(ManifestColumn(**column) for column in plain["columns"]),
                "notices": tuple(plain["notices"]),
                "more_manifests": tuple(DataFile(**f) for f in plain.get("more_manifests", ())),
            }
        )


def _without_blanks(file: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is not known of a file beyond key, size and ETag."""
    more = {name: file[name] for name in ("label", "rows") if file[name] not in ("", None)}
    return {name: file[name] for name in ("key", "size", "etag")} | more


@dataclass(frozen=True, slots=True)
class FoundExport:
    """An export that lies in a bucket, configured or not.

    ``prefix`` and ``name`` are what the configuration calls ``prefix`` and ``export_name``;
    ``file_format`` is empty where the newest manifest cannot be read.
    """

    prefix: str
    name: str
    shape: str
    file_format: str
    first: BillingPeriod
    last: BillingPeriod
    delivered_at: datetime


@dataclass(frozen=True, slots=True)
class FailedDelivery:
    """A billing period whose newest manifest cannot be read, and why."""

    vendor: str
    export: str
    period: BillingPeriod
    error: FinopsError


@dataclass(frozen=True, slots=True)
class Contents:
    """What the rows of a data file tell: its shape, and how many are of which billing period."""

    shape: str
    periods: Mapping[BillingPeriod, int]


class Survey(Protocol):
    """Reads data files that no manifest describes."""

    def __call__(self, stored: StoredObject, file_format: str, compression: str) -> Contents:
        """Return what is in a file; the same version of it is read only once.

        Raises:
            BadDataError: it is damaged, or no bill of this vendor.
        """
        ...
