"""AWS manifests: find the newest delivery of every billing period and read it.

Layouts: Cost and Usage Report user guide, "Accessing your report data in S3" (v1), and
Data Exports user guide, "Export delivery" (2.0). Both write the manifest last.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from finops.columns import MAX_COLUMNS
from finops.config import Export
from finops.delivery import (
    DataFile,
    Delivery,
    FailedDelivery,
    FoundExport,
    ManifestColumn,
    StoredObject,
    Survey,
)
from finops.errors import AccessError, BadDataError, ConfigError, FinopsError, TemporaryError
from finops.period import BillingPeriod
from finops.storage import MANIFEST_LIMIT, Storage

_READERS = 8

_LAYOUTS = {
    "v1": re.compile(
        r"(?P<base>(?:.*/)?(?P<name>[^/]+)/)(?P<period>\d{6})01-(?P<end>\d{6})01/"
        r"(?:(?P<folder>[^/]+)/)?(?P=name)-Manifest\.json",
        re.DOTALL,
    ),
    "v2": re.compile(
        r"(?P<base>(?:.*/)?(?P<name>[^/]+)/)metadata/(?i:billing_period)=(?P<period>\d{4}-\d{2})/"
        r"(?:(?P<folder>[^/]+)/)?(?P=name)-Manifest\.json",
        re.DOTALL,
    ),
}
_PERIOD_IN_KEY = re.compile(
    r"/(?:(\d{6})01-\d{8}|(?i:billing_period)=(\d{4}-\d\d)|year=(\d{4})/month=(\d{1,2}))/"
)
_IN_PLACE = re.compile(_PERIOD_IN_KEY.pattern + r"[^/]+\Z")
_SETTLED = timedelta(minutes=30)
_FOLDER_TIMES = (
    (re.compile(r"\d{8}T\d{6}Z"), "%Y%m%dT%H%M%S%z"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "%Y-%m-%dT%H:%M:%S.%f%z"),
)
_FORMS = {
    ".parquet": ("parquet", "none"),
    ".csv.gz": ("csv", "gzip"),
    ".csv.zip": ("csv", "zip"),
    ".csv": ("csv", "none"),
}


@dataclass(frozen=True, slots=True)
class Bucket:
    """The listed part of an export's bucket."""

    storage: Storage
    export: Export
    objects: Mapping[str, StoredObject]


@dataclass(frozen=True, slots=True)
class FoundManifest:
    """A manifest in the listing. ``base`` is the part of the key up to the export's folder."""

    layout: str
    base: str
    name: str
    period: BillingPeriod
    folder: str
    stored: StoredObject

    @property
    def delivered_at(self) -> datetime:
        """When it was written: AWS's own time in the folder name, else the object's."""
        for pattern, form in _FOLDER_TIMES:
            if match := pattern.match(self.folder):
                with contextlib.suppress(ValueError):
                    return datetime.strptime(match[0], form).astimezone(UTC)
        return self.stored.modified.astimezone(UTC)

    @property
    def rank(self) -> tuple[bool, datetime]:
        """What makes it the newest: the copy above the folders is rewritten every time."""
        return (not self.folder, self.delivered_at)


def list_deliveries(
    storage: Storage, export: Export, _survey: Survey | None = None
) -> list[Delivery | FailedDelivery]:
    """Return the newest delivery of every billing period, newest period first.

    One listing and one small request per period. A manifest that cannot be read is
    returned as a failure of its period.

    Raises:
        ConfigError: several exports, or two versions of one, lie under the prefix, or none
            of the configured form.
    """
    bucket = _list(storage, export)
    newest = newest_manifests(bucket.objects.values(), export)
    with ThreadPoolExecutor(_READERS) as readers:
        deliveries = list(readers.map(partial(_read, bucket), newest))
    _refuse_two_shapes(deliveries, export)
    wanted = [delivery for delivery in deliveries if _wanted(delivery, export)]
    if deliveries and not wanted:
        raise ConfigError(
            f"no delivery is {export.cur_version} in {export.export_format}, as configured;"
            f" there is {', '.join(sorted({_form_of(each) for each in deliveries}))}",
            code="no-manifests",
            do='set cur_version and export_format to "auto", or leave them out',
        )
    return wanted


def list_exports(
    storage: Storage, export: Export, _survey: Survey | None = None
) -> list[FoundExport]:
    """Return every export under the prefix, whatever ``export_name`` says, in order of place.

    One listing, and the newest manifest of each is read. The date filters do not count.
    """
    bucket = _list(storage, replace(export, export_name=""))
    places: dict[tuple[str, str], list[FoundManifest]] = {}
    for stored in bucket.objects.values():
        for manifest in _match(stored, bucket.export):
            places.setdefault((manifest.base, manifest.layout), []).append(manifest)
    return [_found_export(bucket, manifests) for _, manifests in sorted(places.items())]


def _found_export(bucket: Bucket, manifests: list[FoundManifest]) -> FoundExport:
    newest = max(manifests, key=lambda manifest: (manifest.period, manifest.rank))
    read = _read(bucket, newest)
    delivery = read if isinstance(read, Delivery) else None
    return FoundExport(
        prefix=newest.base.removesuffix(f"{newest.name}/").strip("/"),
        name=newest.name,
        shape=delivery.shape if delivery else newest.layout,
        file_format=delivery.file_format if delivery else "",
        first=min(manifest.period for manifest in manifests),
        last=newest.period,
        delivered_at=max(manifest.delivered_at for manifest in manifests),
    )


def newest_manifests(objects: Iterable[StoredObject], export: Export) -> list[FoundManifest]:
    """Pick the newest manifest of every billing period, newest period first.

    Raises:
        ConfigError: there is none at all, or those of several exports.
    """
    found = [manifest for stored in objects for manifest in _match(stored, export)]
    if not found:
        raise ConfigError(
            f"no manifest of {export.export_name or 'any export'} lies under the prefix"
            f" {export.prefix!r} of {export.bucket}",
            code="no-manifests",
            do="check bucket, prefix and export_name; a new export delivers within 24 hours",
        )
    names = sorted({manifest.base for manifest in found})
    if len(names) > 1:
        base = found[0].base.removesuffix(f"{found[0].name}/").strip("/")
        raise ConfigError(
            f"{len(names)} exports lie under the prefix {export.prefix!r}: {', '.join(names)}",
            code="several-exports",
            do=f"choose one, for example --prefix {base!r} --export-name {found[0].name!r},"
            " or configure one [aws.exports.NAME] for each",
        )
    newest: dict[tuple[BillingPeriod, str], FoundManifest] = {}
    for manifest in found:
        if not export.covers(manifest.period):
            continue
        place = (manifest.period, manifest.layout)
        if place not in newest or newest[place].rank < manifest.rank:
            newest[place] = manifest
    return sorted(newest.values(), key=lambda manifest: manifest.period, reverse=True)


def _list(storage: Storage, export: Export) -> Bucket:
    objects = {
        stored.key: stored
        for prefix in _key_prefixes(export)
        for stored in storage.list_objects(prefix)
    }
    return Bucket(storage, export, objects)


def _key_prefixes(export: Export) -> list[str]:
    """Return the beginnings of keys to list, with and without AWS's stray slashes.

    An empty prefix gives keys that begin with ``/``; one with a slash at its end gives ``//``.
    """
    prefix = export.prefix.strip("/")
    name = f"{export.export_name}/" if export.export_name else ""
    if not prefix:
        return [name, f"/{name}"] if name else [""]
    joints = ("/", "//") if name else ("/",)
    return [f"{lead}{prefix}{joint}{name}" for lead in ("", "/") for joint in joints]


def _match(stored: StoredObject, export: Export) -> Iterator[FoundManifest]:
    for layout, pattern in _LAYOUTS.items():
        match = pattern.fullmatch(stored.key)
        if match is None or (export.export_name and match["name"] != export.export_name):
            continue
        period = _period(match["period"])
        if period is None or (layout == "v1" and _period(match["end"]) != period.shift(1)):
            continue
        folder = match["folder"] or ""
        yield FoundManifest(layout, match["base"], match["name"], period, folder, stored)


def _period(text: str) -> BillingPeriod | None:
    """Read ``202401``, ``2024-01`` or ``2024-1``; None where that is no month."""
    digits = re.sub(r"\D", "-", text)
    year, month = (digits[:4], digits[4:].strip("-"))
    try:
        return BillingPeriod.parse(f"{year}-{month:0>2}")
    except ConfigError:
        return None


def _read(bucket: Bucket, found: FoundManifest) -> Delivery | FailedDelivery:
    storage, export = bucket.storage, bucket.export
    try:
        body, stored = storage.read_object(found.stored.key, MANIFEST_LIMIT)
        return parse_manifest(body, stored, found, bucket)
    except AccessError:
        raise
    except FinopsError as error:
        error.where = error.where or f"{storage.url}/{found.stored.key}"
        return FailedDelivery(export.vendor, export.name, found.period, error)


def parse_manifest(
    body: bytes, stored: StoredObject, found: FoundManifest, bucket: Bucket
) -> Delivery:
    """Read one manifest into a delivery; sizes and ETags come from the listing.

    Raises:
        BadDataError: it is no manifest of this period, or lists keys it may not.
        TemporaryError: its files are being overwritten at this moment.
    """
    manifest = _json_object(body)
    _check_period(manifest, found.period)
    places = [_place(entry) for entry in _listed_files(manifest)]
    keys = [key for _, key in places]
    for key in keys:
        _check_key(key, found)
    objects = [bucket.objects.get(key) or _unlisted(key, bucket.storage) for key in keys]
    if bucket.storage.live and is_in_progress(found.stored, objects, datetime.now(UTC)):
        raise TemporaryError(
            "AWS is writing this delivery: its files are newer than its manifest",
            code="in-progress",
            do="wait some minutes, then run again",
        )
    listed = [DataFile(stored.key, stored.size, stored.etag) for stored in objects]
    buckets = {bucket for bucket, _ in places} | {str(manifest.get("bucket", ""))}
    columns = _columns(manifest, found.layout)
    file_format, compression = _form(keys, manifest)
    return Delivery(
        vendor=bucket.export.vendor,
        export=bucket.export.name,
        period=found.period,
        delivery_id=_delivery_id(manifest, stored),
        manifest_key=stored.key,
        manifest_etag=stored.etag,
        delivered_at=found.delivered_at,
        shape=_shape(found.layout, columns, bucket.export),
        file_format=file_format,
        compression=compression,
        files=tuple(dict.fromkeys(listed)),
        columns=columns,
        notices=(
            *_bucket_notices(buckets, bucket.storage),
            *_repeated_notices(listed),
        ),
    )


def is_in_progress(manifest: StoredObject, files: Iterable[StoredObject], now: datetime) -> bool:
    """Tell whether AWS may be in the midst of overwriting: its manifest comes last.

    Deliveries in folders of their own are never overwritten; after half an hour of rest
    nothing more is to be waited for.
    """
    times = [stored.modified for stored in files if _IN_PLACE.search(f"/{stored.key}")]
    newest = max(times, default=manifest.modified)
    return newest > manifest.modified and abs(now - newest) < _SETTLED


def _json_object(body: bytes) -> Mapping[str, Any]:
    try:
        manifest = json.loads(body.decode("utf-8-sig"))
        json.dumps(manifest, ensure_ascii=False).encode()  # half a character is no text
    except (ValueError, RecursionError) as error:
        raise BadDataError(
            f"the manifest is not JSON: {error}",
            code="bad-manifest",
            do="wait for the next delivery, or copy the manifest again",
        ) from error
    if not isinstance(manifest, dict):
        raise _bad("the manifest is not a JSON object")
    return manifest


def _check_period(manifest: Mapping[str, Any], period: BillingPeriod) -> None:
    said = manifest.get("billingPeriod")
    start = said.get("start") if isinstance(said, dict) else None
    if start is None:
        return
    digits = re.sub(r"\D", "", str(start))[:6]
    if digits != f"{period.year:04}{period.month:02}":
        raise _bad(f"billingPeriod.start is {start!r}, the folder says {period}")


def _listed_files(manifest: Mapping[str, Any]) -> list[Any]:
    for name in ("dataFiles", "reportKeys"):
        if name in manifest:
            listed = manifest[name]
            if not isinstance(listed, list):
                raise _bad(f"{name} is not a list")
            return listed
    raise _bad("neither reportKeys nor dataFiles is there")


def _place(entry: Any) -> tuple[str, str]:
    """Return bucket and key of a listed file: a key, an ``s3://`` URL, or an object with either."""
    if isinstance(entry, dict):
        entry = entry.get("s3Uri") or entry.get("key")
    if not isinstance(entry, str) or not entry:
        raise _bad("a listed data file has no key")
    if not entry.startswith("s3://"):
        return "", entry
    bucket, _, key = entry.removeprefix("s3://").partition("/")
    return bucket, key


def _bucket_notices(buckets: set[str], storage: Storage) -> tuple[str, ...]:
    """Tell that a manifest names another bucket: normal where buckets are replicated."""
    if not storage.url.startswith("s3://"):
        return ()
    others = sorted(buckets - {"", storage.url.removeprefix("s3://")})
    return tuple(
        f"the manifest names the bucket {bucket!r}; its files are read from {storage.url}"
        for bucket in others
    )


def _repeated_notices(files: list[DataFile]) -> tuple[str, ...]:
    repeated = [file.key for file, count in Counter(files).items() if count > 1]
    return tuple(f"the manifest lists {key!r} more than once; it is read once" for key in repeated)


def _check_key(key: str, found: FoundManifest) -> None:
    """Refuse keys outside the export's own folder, or of another billing period."""
    parts = [part for part in key.split("/") if part not in ("", ".")]
    allowed = [part for part in found.base.split("/") if part not in ("", ".")]
    outside = ".." in parts or "\0" in key or parts[: len(allowed)] != allowed
    named = _PERIOD_IN_KEY.search("/".join(["", *parts[len(allowed) :]]))
    if outside or (named and _period("".join(filter(None, named.groups()))) != found.period):
        place = "another billing period" if not outside else f"not below {found.base!r}"
        raise BadDataError(
            f"the manifest lists the key {key!r}, which is {place}",
            code="foreign-key",
            do="check who may write to this bucket; nothing was read from that key",
        )


def _unlisted(key: str, storage: Storage) -> StoredObject:
    """Ask for a file that the listing does not have.

    S3 answers 403, not 404, to those who may list a part of the bucket only.
    """
    try:
        return storage.head_object(key)
    except AccessError as error:
        raise BadDataError(
            "a listed file is missing, or may not be read",
            code="missing-object",
            where=f"{storage.url}/{key}",
            do="wait for the next delivery, or see what removed it; s3:GetObject is needed",
        ) from error


def _delivery_id(manifest: Mapping[str, Any], stored: StoredObject) -> str:
    identity = manifest.get("executionId") or manifest.get("assemblyId") or stored.etag
    return str(identity)


def _columns(manifest: Mapping[str, Any], layout: str) -> tuple[ManifestColumn, ...]:
    entries = manifest.get("columns", [])
    if not isinstance(entries, list):
        raise _bad("columns is not a list")
    if len(entries) > MAX_COLUMNS:
        raise BadDataError(
            f"the manifest has {len(entries):,} columns, at most {MAX_COLUMNS:,} are read",
            code="too-large",
            do="check who may write to this bucket",
        )
    return tuple(_column(entry, layout) for entry in entries)


def _column(entry: Any, layout: str) -> ManifestColumn:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise _bad("a column has no name")
    name = f"{entry.get('category', '')}/{entry['name']}" if layout == "v1" else entry["name"]
    return ManifestColumn(name, str(entry.get("type") or ""))


def _form(keys: list[str], manifest: Mapping[str, Any]) -> tuple[str, str]:
    """Tell format and compression by the file names, as AWS gives them."""
    forms = {form for key in keys for end, form in _FORMS.items() if key.lower().endswith(end)}
    if len(forms) == 1:
        return forms.pop()
    if keys:
        raise _bad(f"the data files are neither all CSV nor all Parquet, for example {keys[0]!r}")
    parquet = "parquet" in str(manifest.get("compression", "")).lower()
    return ("parquet", "none") if parquet else ("csv", "gzip")


def _shape(layout: str, columns: tuple[ManifestColumn, ...], export: Export) -> str:
    if layout == "v1":
        return "v1"
    focus = any(column.name.lower() == "billedcost" for column in columns)
    return "focus" if focus or (not columns and export.cur_version == "focus") else "v2"


def _wanted(delivery: Delivery | FailedDelivery, export: Export) -> bool:
    if isinstance(delivery, FailedDelivery):
        return True
    return export.cur_version in ("auto", delivery.shape) and export.export_format in (
        "auto",
        delivery.file_format,
    )


def _form_of(delivery: Delivery | FailedDelivery) -> str:
    if isinstance(delivery, FailedDelivery):
        return "one that cannot be read"
    return f"{delivery.shape} in {delivery.file_format}"


def _refuse_two_shapes(deliveries: list[Delivery | FailedDelivery], export: Export) -> None:
    shapes = sorted({found.shape for found in deliveries if isinstance(found, Delivery)})
    if export.cur_version == "auto" and len(shapes) > 1:
        raise ConfigError(
            f"the export {export.export_name!r} is there as {' and '.join(shapes)}",
            code="two-versions",
            do="set cur_version to one of them: the same cost must not be counted twice",
        )


def _bad(what: str) -> BadDataError:
    return BadDataError(
        what, code="bad-manifest", do="wait for the next delivery, or check the export at AWS"
    )
