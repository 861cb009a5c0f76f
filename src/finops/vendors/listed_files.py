"""Deliveries of vendors that write no manifests: what lies under the prefix is the delivery.

Each billing period that the rows of the files name is a delivery of the files that have it. Its
id is made of their keys and ETags, so that it is another one when any of them changes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, takewhile

from finops.config import Export
from finops.delivery import (
    Contents,
    DataFile,
    Delivery,
    FailedDelivery,
    FoundExport,
    StoredObject,
    Survey,
)
from finops.errors import BadDataError, ConfigError
from finops.period import BillingPeriod
from finops.storage import Storage

_FORM = re.compile(
    r".*\.(?:(?P<parquet>parquet)|(?P<csv>csv)|(?P<json>jsonl?|ndjson))(?:\.(?P<gzip>gz)|\.(?P<zip>zip))?",
    re.IGNORECASE | re.DOTALL,
)
# What programs leave beside data: marks of completeness, manifests, half of a file.
_ASIDE = re.compile(
    r"(.*/)?([_.].*|[^/]*manifest\.json)|(.*/)?[_.][^/]*/.*", re.IGNORECASE | re.DOTALL
)

_DIVIDING = re.compile(r".*=.*|\d{1,4}([_-]?\d\d){0,2}|[\da-f-]{16,}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Bill:
    """A data file that was listed, and what is in it."""

    stored: StoredObject
    form: tuple[str, str]
    contents: Contents


def list_deliveries(
    storage: Storage, export: Export, survey: Survey
) -> list[Delivery | FailedDelivery]:
    """Return a delivery for every billing period in the files, newest period first.

    Raises:
        ConfigError: there is no file.
        BadDataError: one is no bill. It could be of any period, so none is loaded.
    """
    bills = _surveyed(_bills(storage, export), survey)
    if not bills:
        place = ", ".join(export.files) or repr(_place(export))
        raise ConfigError(
            f"no CSV, Parquet or JSON lines file lies under {place} of {export.bucket}",
            code="no-files",
            do="check bucket, prefix and export_name",
        )
    periods = {period for bill in bills for period in bill.contents.periods}
    wanted = sorted(filter(export.covers, periods), reverse=True)
    notices = () if export.files else _folder_notices(export, bills)
    return [_delivery(export, period, bills, notices) for period in wanted]


def _folder_notices(export: Export, bills: Sequence[_Bill]) -> tuple[str, ...]:
    """Tell where several folders are read as one bill: two copies would count twice."""
    folders = sorted({_folder(_place(export), bill) for bill in bills})
    if len(folders) < 2:
        return ()
    named = ", ".join(folders[:3])
    return (f"{len(folders)} folders are read as one bill: {named}; is each an export of its own?",)


def list_exports(storage: Storage, export: Export, survey: Survey) -> list[FoundExport]:
    """Return every folder below the prefix that has bills, and the prefix itself if it has any.

    Folders whose names are dates, ids, or of the form ``name=value`` divide an export.
    """
    bills = _surveyed(_bills(storage, export, named=False), survey)
    place = partial(_folder, export.prefix.strip("/"))
    found = groupby(sorted(bills, key=place), key=place)
    return [_found_export(folder, list(of_it)) for folder, of_it in found]


def _folder(prefix: str, bill: _Bill) -> str:
    """Return the folder of the export that a file seems to be of."""
    *folders, _ = bill.stored.key.removeprefix(prefix).strip("/").split("/")
    own = takewhile(lambda name: not _DIVIDING.fullmatch(name), folders)
    return "/".join([*filter(None, [prefix]), *own])


def _found_export(folder: str, bills: Sequence[_Bill]) -> FoundExport:
    prefix, _, name = folder.rpartition("/")
    newest = max(bills, key=lambda bill: bill.stored.modified)
    periods = [period for bill in bills for period in bill.contents.periods]
    written = BillingPeriod.containing(newest.stored.modified)
    return FoundExport(
        prefix=prefix,
        name=name,
        shape=newest.contents.shape,
        file_format=newest.form[0],
        first=min(periods, default=written),
        last=max(periods, default=written),
        delivered_at=newest.stored.modified,
    )


def _surveyed(bills: Sequence[tuple[StoredObject, tuple[str, str]]], survey: Survey) -> list[_Bill]:
    found = survey([(stored, *form) for stored, form in bills])
    return [_Bill(*bill, contents) for bill, contents in zip(bills, found, strict=True)]


def _bills(
    storage: Storage, export: Export, *, named: bool = True
) -> list[tuple[StoredObject, tuple[str, str]]]:
    """List the data files of an export, by key; what is written beside them is left out."""
    place = _place(export) if named else export.prefix.strip("/")
    listed = map(storage.head_object, export.files) if export.files else storage.list_objects(place)
    return [
        (stored, form)
        for stored in sorted(listed, key=lambda stored: stored.key)
        if export.files or _is_wanted(stored.key, place)
        if (form := _form(stored.key)) and export.export_format in ("auto", form[0])
    ]


def _place(export: Export) -> str:
    return "/".join(filter(None, (export.prefix.strip("/"), export.export_name)))


def _is_wanted(key: str, place: str) -> bool:
    inside = key.removeprefix(place)
    below = not place or inside.startswith("/") or not inside
    return below and not _ASIDE.fullmatch(inside.lstrip("/"))


def _form(key: str) -> tuple[str, str] | None:
    """Tell format and compression by a key's ending."""
    match = _FORM.fullmatch(key)
    if match is None:
        return None
    file_format = next(name for name in ("parquet", "csv", "json") if match[name])
    packed = next((name for name in ("gzip", "zip") if match[name]), "none")
    return file_format, packed


def _delivery(
    export: Export, period: BillingPeriod, bills: Sequence[_Bill], notices: tuple[str, ...]
) -> Delivery | FailedDelivery:
    of_it = [bill for bill in bills if period in bill.contents.periods]
    kinds = {(*bill.form, bill.contents.shape) for bill in of_it}
    if len(kinds) > 1:
        return FailedDelivery(export.vendor, export.name, period, _mixed(of_it))
    file_format, compression, shape = kinds.pop()
    files = tuple(
        DataFile(
            bill.stored.key,
            bill.stored.size,
            bill.stored.etag,
            rows=bill.contents.periods[period],
        )
        for bill in of_it
    )
    listing = "\n".join(f"{file.key}\0{file.etag}" for file in files)
    return Delivery(
        vendor=export.vendor,
        export=export.name,
        period=period,
        delivery_id=hashlib.sha256(listing.encode()).hexdigest()[:16],
        manifest_key="",
        manifest_etag="",
        delivered_at=max(bill.stored.modified for bill in of_it),
        shape=shape,
        file_format=file_format,
        compression=compression,
        files=files,
        notices=notices,
    )


def _mixed(bills: Sequence[_Bill]) -> BadDataError:
    one = bills[0]
    other = next(
        bill for bill in bills if (bill.form, bill.contents.shape) != (one.form, one.contents.shape)
    )
    return BadDataError(
        f"{one.stored.key} is {one.contents.shape} as {'/'.join(one.form)}, and"
        f" {other.stored.key} {other.contents.shape} as {'/'.join(other.form)}",
        code="two-forms",
        do="configure an export for each, with a prefix of its own",
    )
