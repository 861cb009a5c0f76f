"""Azure exports: find the newest complete run of every billing period and read its manifest.

Layouts: Cost Management, "Improved exports" (manifests of 2024-04-01), partitioned exports before
it (2021-01-01), and exports of one file without any manifest. All of them write below
``<directory>/<export>/<first day>-<last day>/``; the manifest comes last. What lies deeper, run
times and ids, has changed over the years, so names are never built, only found.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import groupby
from typing import Any

from finops.config import Export
from finops.delivery import (
    DataFile,
    Delivery,
    FailedDelivery,
    FoundExport,
    StoredObject,
    Survey,
)
from finops.errors import AccessError, BadDataError, ConfigError, FinopsError, TemporaryError
from finops.period import BillingPeriod
from finops.storage import MANIFEST_LIMIT, Storage
from finops.vendors.azure.contract import COSTS, FOCUS

ACTUAL, AMORTIZED = "ActualCost", "AmortizedCost"
# Scopes that know no amortization call their actual cost "Usage".
_LABELS = {"actualcost": ACTUAL, "usage": ACTUAL, "amortizedcost": AMORTIZED, "focuscost": ""}
_READERS = 8
_KEY = re.compile(
    r"(?P<base>(?:.*/)?(?P<name>[^/]+)/)(?P<first>\d{8})-(?P<last>\d{8})/(?P<rest>.+)", re.DOTALL
)
_RUN_TIME = re.compile(r"(?:^|/)(\d{12})/")
_RUN_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_SPAN = re.compile(r"(\d{8})-(\d{8})")
_FORMS = {
    ".parquet": ("parquet", "none"),
    ".csv.gz": ("csv", "gzip"),
    ".csv": ("csv", "none"),
}
_SETTLED = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class MonthFolder:
    """What lies in one month's folder of one export; ``base`` ends with the export's name."""

    base: str
    name: str
    period: BillingPeriod
    objects: tuple[StoredObject, ...]

    @property
    def manifests(self) -> list[StoredObject]:
        """The manifests of all runs that ended, newest first."""
        found = [each for each in self.objects if each.key.lower().endswith("manifest.json")]
        return sorted(found, key=self.rank, reverse=True)

    @property
    def single_files(self) -> list[StoredObject]:
        """Whole runs of exports without manifests, newest first: files beside no folder."""
        found = [each for each in self.objects if "/" not in self.inside(each) and _form_of(each)]
        return sorted(found, key=self.rank, reverse=True)

    def inside(self, stored: StoredObject) -> str:
        """Return a key as it goes on inside the month's folder."""
        return stored.key.removeprefix(self.base).partition("/")[2]

    def rank(self, stored: StoredObject) -> tuple[datetime, str]:
        """Say when a run was: by its folder's name, else by the object's time."""
        return self.time(stored), stored.key

    def time(self, stored: StoredObject) -> datetime:
        """Return the run's time, UTC."""
        named = _RUN_TIME.search(self.inside(stored))
        try:
            if named:
                return datetime.strptime(named[1], "%Y%m%d%H%M").replace(tzinfo=UTC)
        except ValueError:
            pass
        return stored.modified.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class ExportRun:
    """One run of one export for one period, read. ``manifest`` is None where there is none."""

    folder: MonthFolder
    run_id: str
    label: str
    shape: str
    delivered_at: datetime
    manifest: StoredObject | None
    file_format: str
    compression: str
    files: tuple[DataFile, ...]
    notices: tuple[str, ...] = ()


@dataclass(slots=True)
class _Period:
    """What the exports of one delivery have for one period; ``error`` is the first that fails."""

    runs: list[ExportRun] = field(default_factory=list)
    error: FinopsError | None = None


def list_deliveries(
    storage: Storage, export: Export, _survey: Survey | None = None
) -> list[Delivery | FailedDelivery]:
    """Return the newest delivery of every billing period, newest period first.

    A delivery is the newest complete run of the export and, where ``amortized_name`` is set,
    that of the other one, too. What cannot be read is returned as a failure of its period.

    Raises:
        ConfigError: there is no export, several under the prefix, or one of another type.
    """
    periods: dict[BillingPeriod, _Period] = {}
    for name, label in _configured(export):
        folders = _newest_folders(storage, export, name)
        with ThreadPoolExecutor(_READERS) as readers:
            runs = list(readers.map(partial(_read, storage, label), folders))
        for folder, run in zip(folders, runs, strict=True):
            period = periods.setdefault(folder.period, _Period())
            if isinstance(run, FinopsError):
                period.error = period.error or run
            else:
                period.runs.append(run)
    _refuse_types(periods.values(), export)
    deliveries = [_delivery(export, *each) for each in sorted(periods.items(), reverse=True)]
    return _wanted(deliveries, export)


def list_exports(
    storage: Storage, export: Export, _survey: Survey | None = None
) -> list[FoundExport]:
    """Return every export under the prefix, whatever ``export_name`` says, in order of place.

    One listing, and the newest manifest of each is read. The date filters do not count.
    """
    folders = _month_folders(storage, export, "")
    found = [
        _found_export(storage, list(months))
        for _, months in groupby(folders, key=lambda folder: folder.base)
    ]
    return [_with_amortized(each, found) for each in found]


def _with_amortized(export: FoundExport, found: Sequence[FoundExport]) -> FoundExport:
    """Join the only two datasets of cost below a directory, as one configured export has them."""
    beside = [each for each in found if each.prefix == export.prefix and each.shape != FOCUS]
    names = {each.shape: each.name for each in beside}
    if export.shape != ACTUAL or len(beside) != 2 or AMORTIZED not in names:
        return export
    return replace(export, more={"amortized_name": names[AMORTIZED]})


def _found_export(storage: Storage, folders: Sequence[MonthFolder]) -> FoundExport:
    newest = max(folders, key=lambda folder: folder.period)
    run = _read(storage, "", newest)
    read = None if isinstance(run, FinopsError) else run
    return FoundExport(
        prefix=newest.base.removesuffix(f"{newest.name}/").strip("/"),
        name=newest.name,
        shape=(read.label or read.shape) if read else COSTS,
        file_format=read.file_format if read else "",
        first=min(folder.period for folder in folders),
        last=newest.period,
        delivered_at=max(folder.time(each) for folder in folders for each in folder.objects),
    )


def _configured(export: Export) -> list[tuple[str, str]]:
    """Return the names of a delivery's exports, and the dataset that each is expected to be."""
    if export.amortized_name and not export.export_name:
        return [(export.amortized_name, AMORTIZED)]
    both = [(export.export_name, ACTUAL), (export.amortized_name, AMORTIZED)]
    return [each for each in both if each[0]] or [("", ACTUAL)]


def _newest_folders(storage: Storage, export: Export, name: str) -> list[MonthFolder]:
    folders = _month_folders(storage, export, name)
    if not folders:
        raise ConfigError(
            f"no run of {name or 'any export'} lies under the prefix {export.prefix!r}"
            f" of {export.bucket}",
            code="no-manifests",
            do="check bucket, prefix and the export's name; a new export delivers within a day",
        )
    bases = sorted({folder.base for folder in folders})
    if len(bases) > 1:
        raise ConfigError(
            f"{len(bases)} exports lie under the prefix {export.prefix!r}: {', '.join(bases)}",
            code="several-exports",
            do="set export_name, and amortized_name for the AmortizedCost export beside it,"
            " or configure one [azure.exports.NAME] for each",
        )
    return [folder for folder in folders if export.covers(folder.period)]


def _month_folders(storage: Storage, export: Export, name: str) -> list[MonthFolder]:
    """List the folders of whole months, by place and period; other spans of days are left out."""
    prefix = export.prefix.strip("/")
    place = "".join(f"{part}/" for part in (prefix, name) if part)
    months: dict[tuple[str, str, BillingPeriod], list[StoredObject]] = {}
    for stored in storage.list_objects(place):
        match = _KEY.fullmatch(stored.key)
        period = _whole_month(match["first"], match["last"]) if match else None
        if match and period and (not name or match["base"] == place):
            months.setdefault((match["base"], match["name"], period), []).append(stored)
    return [MonthFolder(*key, tuple(objects)) for key, objects in sorted(months.items())]


def _whole_month(first: str, last: str) -> BillingPeriod | None:
    """Return the month from its first day to its last; None of any other span of days."""
    try:
        start = date.fromisoformat(first)
        end = date.fromisoformat(last) + timedelta(days=1)
        period = BillingPeriod(start.year, start.month)
    except (ValueError, OverflowError, ConfigError):
        return None
    whole = start == period.start.date() and end == period.end.date()
    return period if whole else None


def _read(storage: Storage, expected: str, folder: MonthFolder) -> ExportRun | FinopsError:
    """Read the newest complete run of a month; what goes wrong is the month's own error."""
    try:
        if folder.manifests:
            return _read_manifest(storage, expected, folder, _newest_manifest(storage, folder))
        if folder.single_files:
            return _single_file(expected, folder)
        raise _in_progress("no run has written its manifest yet")
    except AccessError:
        raise
    except FinopsError as error:
        error.where = error.where or f"{storage.url}/{folder.objects[0].key.rpartition('/')[0]}"
        return error


def _newest_manifest(storage: Storage, folder: MonthFolder) -> StoredObject:
    """Return the newest manifest. In a copy, times are those of copying: there it says its own."""
    if storage.live:
        return folder.manifests[0]
    return max(folder.manifests, key=lambda stored: _submitted(storage, folder, stored))


def _submitted(storage: Storage, folder: MonthFolder, stored: StoredObject) -> tuple[datetime, str]:
    try:
        manifest = _json_object(storage.read_object(stored.key, MANIFEST_LIMIT)[0])
        said = _moment(_section(manifest, "runInfo").get("submittedTime"))
    except BadDataError:
        said = None
    return said or folder.time(stored), stored.key


def _single_file(expected: str, folder: MonthFolder) -> ExportRun:
    newest = folder.single_files[0]
    form = _form_of(newest) or ("csv", "none")
    named = _RUN_ID.search(newest.key)
    label = expected or _named_label(folder.name)
    return ExportRun(
        folder=folder,
        run_id=named[0] if named else newest.etag,
        label=label,
        shape=COSTS,
        delivered_at=folder.time(newest),
        manifest=None,
        file_format=form[0],
        compression=form[1],
        files=(DataFile(newest.key, newest.size, newest.etag, label),),
    )


def _read_manifest(
    storage: Storage, expected: str, folder: MonthFolder, listed: StoredObject
) -> ExportRun:
    """Read one run; sizes and ETags come from the listing.

    Raises:
        BadDataError: it is no manifest of this period, or lists keys it may not.
        ConfigError: the export is of a type that is not read.
        TemporaryError: its files are being overwritten at this moment.
    """
    body, stored = storage.read_object(listed.key, MANIFEST_LIMIT)
    manifest = _json_object(body)
    run = _section(manifest, "runInfo")
    _check_period(run, folder.period)
    type_ = str(_section(manifest, "exportConfig").get("type") or "")
    label, shape = _dataset(type_, expected or _named_label(folder.name))
    blobs = _blobs(manifest)
    files, repeated = _files(storage, folder, blobs, label)
    _refuse_unfinished(storage, folder, stored, files)
    form = _form([file.key for file in files], _section(manifest, "deliveryConfig"))
    named = _RUN_ID.findall(listed.key)
    return ExportRun(
        folder=folder,
        run_id=str(run.get("runId") or (named[-1] if named else stored.etag)),
        label=label,
        shape=shape,
        delivered_at=_moment(run.get("submittedTime")) or folder.time(stored),
        manifest=stored,
        file_format=form[0],
        compression=form[1],
        files=files,
        notices=repeated,
    )


def _json_object(body: bytes) -> Mapping[str, Any]:
    try:
        manifest = json.loads(body.decode("utf-8-sig"))
        json.dumps(manifest, ensure_ascii=False).encode()  # half a character is no text
    except (ValueError, RecursionError) as error:
        raise _bad(f"the manifest is not JSON: {error}") from error
    if not isinstance(manifest, dict):
        raise _bad("the manifest is not a JSON object")
    return manifest


def _section(manifest: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a part of the manifest; manifests of 2021 have none of them."""
    section = manifest.get(name) or {}
    if not isinstance(section, dict):
        raise _bad(f"{name} is not an object")
    return section


def _check_period(run: Mapping[str, Any], period: BillingPeriod) -> None:
    """Compare the run's first day with the folder; its last day is that of the run, no month's."""
    start = run.get("startDate")
    if start and re.sub(r"\D", "", str(start))[:6] != f"{period.year:04}{period.month:02}":
        raise _bad(f"runInfo.startDate is {start!r}, the folder says {period}")


def _named_label(name: str) -> str:
    """Tell the dataset by the export's name, where neither manifest nor configuration does."""
    return AMORTIZED if "amorti" in name.lower() else ACTUAL


def _dataset(type_: str, expected: str) -> tuple[str, str]:
    """Return the label and the shape of an export's files, by its type."""
    if not type_:
        return expected, COSTS
    label = _LABELS.get(type_.lower())
    if label is None:
        raise ConfigError(
            f"this is an export of the type {type_}, which is no bill",
            code="other-type-of-export",
            do="set export_name to an export of ActualCost, AmortizedCost or FocusCost",
        )
    return label, COSTS if label else FOCUS


def _blobs(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what the manifest lists; an empty run has none, or one without rows and name."""
    blobs = manifest.get("blobs") or []
    if not isinstance(blobs, list) or not all(isinstance(blob, dict) for blob in blobs):
        raise _bad("blobs is not a list of objects")
    if not blobs and manifest.get("blobs") is None and not _is_empty(manifest):
        raise _bad("blobs is not there")
    return [blob for blob in blobs if blob.get("blobName") or not _is_empty(manifest)]


def _is_empty(manifest: Mapping[str, Any]) -> bool:
    return not (manifest.get("blobCount") and manifest.get("dataRowCount"))


def _files(
    storage: Storage, folder: MonthFolder, blobs: Iterable[Mapping[str, Any]], label: str
) -> tuple[tuple[DataFile, ...], tuple[str, ...]]:
    listed = {stored.key: stored for stored in folder.objects}
    files = []
    for blob in blobs:
        key = _blob_key(blob, folder)
        stored = listed.get(key) or _unlisted(key, storage)
        rows = blob.get("dataRowCount")
        known = rows if isinstance(rows, int) and not isinstance(rows, bool) else None
        files.append(DataFile(stored.key, stored.size, stored.etag, label, known))
    repeated = [file.key for file, count in Counter(files).items() if count > 1]
    return tuple(dict.fromkeys(files)), tuple(
        f"the manifest lists {key!r} more than once; it is read once" for key in repeated
    )


def _blob_key(blob: Mapping[str, Any], folder: MonthFolder) -> str:
    """Return a blob's key: relative to the container, without the blanks that Azure lets in.

    A copy below another directory has the same end; a key of another export or month has not.
    """
    name = blob.get("blobName")
    if not isinstance(name, str) or not name.strip() or "\0" in name:
        raise _bad("a listed blob has no name")
    key = "/".join(part.strip() for part in name.strip().split("/")).lstrip("/")
    parts = key.split("/")
    if ".." in parts or not key.startswith(folder.base):
        raise _foreign(key, f"not below {folder.base!r}")
    months = [match for match in map(_SPAN.fullmatch, parts) if match]
    if any(_whole_month(match[1], match[2]) != folder.period for match in months):
        raise _foreign(key, "another billing period")
    return key


def _foreign(key: str, place: str) -> BadDataError:
    return BadDataError(
        f"the manifest lists the key {key!r}, which is {place}",
        code="foreign-key",
        do="check who may write to this container; nothing was read from that key",
    )


def _unlisted(key: str, storage: Storage) -> StoredObject:
    try:
        return storage.head_object(key)
    except AccessError as error:
        raise BadDataError(
            "a listed file is missing, or may not be read",
            code="missing-object",
            where=f"{storage.url}/{key}",
            do="wait for the next run, or see what removed it",
        ) from error


def _refuse_unfinished(
    storage: Storage, folder: MonthFolder, manifest: StoredObject, files: Sequence[DataFile]
) -> None:
    """Leave a run alone whose files are newer than its manifest: another is overwriting it.

    After half an hour of rest nothing more is to be waited for.
    """
    times = {stored.key: stored.modified for stored in folder.objects}
    newest = max((times[file.key] for file in files if file.key in times), default=None)
    if not storage.live or newest is None or newest <= manifest.modified:
        return
    if abs(datetime.now(UTC) - newest) < _SETTLED:
        raise _in_progress("its files are newer than its manifest")


def _form(keys: Sequence[str], delivery: Mapping[str, Any]) -> tuple[str, str]:
    """Tell format and compression by the file names; an empty run says them itself."""
    ends = {end for key in keys for end in _FORMS if key.lower().endswith(end)}
    if len(ends) == 1:
        return _FORMS[ends.pop()]
    if keys:
        raise _bad(f"the data files are neither all CSV nor all Parquet, for example {keys[0]!r}")
    parquet = str(delivery.get("fileFormat")).lower() == "parquet"
    return ("parquet", "none") if parquet else ("csv", "none")


def _form_of(stored: StoredObject) -> tuple[str, str] | None:
    return next((form for end, form in _FORMS.items() if stored.key.lower().endswith(end)), None)


def _moment(said: Any) -> datetime | None:
    """Read a time; where it has no zone it is UTC, digits beyond microseconds are cut."""
    try:
        moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", str(said)))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _refuse_types(periods: Iterable[_Period], export: Export) -> None:
    """Refuse what would count cost twice: two exports of one dataset, two shapes in one."""
    for period in periods:
        labels = [run.label for run in period.runs]
        if len(labels) > 1 and sorted(labels) != [ACTUAL, AMORTIZED]:
            raise ConfigError(
                f"{export.export_name!r} is {labels[0] or 'FocusCost'}, and"
                f" {export.amortized_name!r} is {labels[1] or 'FocusCost'}",
                code="other-type-of-export",
                do="amortized_name belongs to an AmortizedCost export, export_name then to its"
                " ActualCost export; a FocusCost export needs no other",
            )


def _delivery(export: Export, month: BillingPeriod, found: _Period) -> Delivery | FailedDelivery:
    """Make one delivery of the runs of a period; an unfinished run of either lets it wait."""
    if found.error:
        return FailedDelivery(export.vendor, export.name, month, found.error)
    try:
        return _joined(export, month, found.runs)
    except BadDataError as error:
        return FailedDelivery(export.vendor, export.name, month, error)


def _joined(export: Export, month: BillingPeriod, runs: Sequence[ExportRun]) -> Delivery:
    first, forms = runs[0], {(run.file_format, run.compression) for run in runs if run.files}
    if len(forms) > 1:
        raise BadDataError(
            f"the two exports are written as {' and '.join(sorted('/'.join(f) for f in forms))}",
            code="two-forms",
            do="give the ActualCost and the AmortizedCost export the same format and compression",
        )
    file_format, compression = (forms or {(first.file_format, first.compression)}).pop()
    manifests = [run.manifest for run in runs if run.manifest]
    manifest = manifests[0] if manifests else None
    return Delivery(
        vendor=export.vendor,
        export=export.name,
        period=month,
        delivery_id="+".join(run.run_id for run in runs),
        manifest_key=manifest.key if manifest else "",
        manifest_etag=manifest.etag if manifest else "",
        delivered_at=max(run.delivered_at for run in runs),
        shape=first.shape,
        file_format=file_format,
        compression=compression,
        files=tuple(file for run in runs for file in run.files),
        notices=(*_dataset_notices(runs), *(said for run in runs for said in run.notices)),
        more_manifests=tuple(DataFile(each.key, each.size, each.etag) for each in manifests[1:]),
    )


def _dataset_notices(runs: Sequence[ExportRun]) -> list[str]:
    """Say what a bill does not tell that has one of the two datasets only."""
    labels = {run.label for run in runs}
    if labels == {ACTUAL}:
        return ["no AmortizedCost: effective cost is what was billed (set amortized_name)"]
    if labels == {AMORTIZED}:
        return ["no ActualCost: what was billed for commitments is not known, and counts as 0"]
    return []


def _wanted(
    deliveries: list[Delivery | FailedDelivery], export: Export
) -> list[Delivery | FailedDelivery]:
    wanted = [
        each
        for each in deliveries
        if isinstance(each, FailedDelivery) or export.export_format in ("auto", each.file_format)
    ]
    if deliveries and not wanted:
        raise ConfigError(
            f"no delivery is in {export.export_format}, as configured",
            code="no-manifests",
            do='set export_format to "auto", or leave it out',
        )
    return wanted


def _in_progress(what: str) -> TemporaryError:
    return TemporaryError(
        f"Azure is writing this run: {what}",
        code="in-progress",
        do="wait some minutes, then run again",
    )


def _bad(what: str) -> BadDataError:
    return BadDataError(
        what, code="bad-manifest", do="wait for the next run, or check the export in Azure"
    )
