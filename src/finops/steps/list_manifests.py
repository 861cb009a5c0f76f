"""``list-manifests``: what lies in the bucket. Reads only; records nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import takewhile

from finops.columns import clean_column_name
from finops.config import Export
from finops.datadir import DataDir
from finops.delivery import Contents, Delivery, FailedDelivery, FoundExport, Survey
from finops.errors import ConfigError, FinopsError
from finops.state import State
from finops.steps.survey import surveying
from finops.storage import Storage, open_storage
from finops.vendors import find_vendor

_LONGEST_NAME = 38


def list_manifests(
    data: DataDir, export: Export, state: State | None = None
) -> list[Delivery | FailedDelivery]:
    """Return the newest delivery of every billing period, newest period first.

    A period whose manifest cannot be read is among them, with its error. Where there are no
    manifests the files are read; for a run, its ``state`` knows them from then on.
    """
    storage = open_storage(export)
    with surveying(data, storage, export, state) as survey:
        return list_deliveries(storage, export, survey)


def list_deliveries(
    storage: Storage, export: Export, survey: Survey
) -> list[Delivery | FailedDelivery]:
    """Ask the vendor for the newest delivery of every billing period.

    Raises:
        ConfigError: several exports lie there; it shows the sections to write.
    """
    try:
        found: list[Delivery | FailedDelivery] = find_vendor(export.vendor).list_deliveries(
            storage, export, survey
        )
    except ConfigError as error:
        if error.code == "several-exports":
            sections = export_sections(export.vendor, name_exports(list_exports(export)))
            error.do = (
                f"{error.do}; finops init writes these, and neither prefix nor export_name in"
                f" [{export.vendor}]:\n{sections}"
            )
        raise
    return found


def list_exports(export: Export) -> list[FoundExport]:
    """Return every export under the prefix, but those that another one brings with it.

    Files without manifests are not read for it, so their shape and periods are left open.
    """
    found: list[FoundExport] = find_vendor(export.vendor).list_exports(
        open_storage(export), export, lambda *_file: Contents("", {})
    )
    brought = {(each.prefix, name) for each in found for name in each.more.values()}
    return [each for each in found if (each.prefix, each.name) not in brought]


def list_strays(exports: Iterable[Export]) -> Iterator[tuple[Export, Mapping[str, FoundExport]]]:
    """Find what is not configured in the folders that hold the prefixes of exports, by name.

    A folder that may not be listed is passed over: reading the exports alone is enough.
    """
    folders: dict[tuple[str, str, str], list[Export]] = {}
    for export in exports:
        prefix = export.prefix.strip("/")
        place = (export.vendor, export.bucket, prefix.rpartition("/")[0] or prefix)
        folders.setdefault(place, []).append(export)
    for (_, _, folder), within in folders.items():
        around = replace(within[0], prefix=folder, export_name="", amortized_name="")
        with suppress(FinopsError):
            named = name_exports(list_exports(around), [each.name for each in within])
            strays = {name: found for name, found in named.items() if not _covered(found, within)}
            if strays:
                yield around, strays


def _covered(found: FoundExport, exports: Iterable[Export]) -> bool:
    """Tell whether an export reads it; one that names none reads all under its prefix."""
    there = _folder(found.prefix, found.name)
    return any(
        there.startswith(_folder(export.prefix, name))
        for export in exports
        for name in {export.export_name, export.amortized_name or export.export_name}
    )


def _folder(*parts: str) -> str:
    return "".join(f"{part}/" for path in parts for part in path.split("/") if part)


def name_exports(found: Sequence[FoundExport], taken: Iterable[str] = ()) -> dict[str, FoundExport]:
    """Name exports as sections of ``config.toml`` by what tells their places apart.

    Two names never give the same dataset, nor does any give that of a name that is ``taken``.
    """
    paths = [[*filter(None, each.prefix.split("/")), each.name] for each in found]
    head = _shared(paths)
    tail = _shared([path[head:][::-1] for path in paths])
    named: dict[str, FoundExport] = {}
    used = {clean_column_name(name) for name in ("default", *taken)}
    for path, each in zip(paths, found, strict=True):
        name = _free_name("-".join(path[head : len(path) - tail] or path), used)
        used.add(clean_column_name(name))
        named[name] = each
    return named


def _shared(paths: Sequence[Sequence[str]]) -> int:
    """Count the parts that all paths begin with."""
    alike = (len(set(parts)) == 1 for parts in zip(*paths, strict=False))
    return sum(1 for _ in takewhile(bool, alike))


def _free_name(wanted: str, used: set[str]) -> str:
    plain = re.sub("[^A-Za-z0-9_]+", "-", wanted).strip("-_")[-_LONGEST_NAME:].strip("-_")
    numbered = (f"{plain or 'export'}-{number}" for number in range(2, len(used) + 3))
    free = (name for name in (plain, *numbered) if name and clean_column_name(name) not in used)
    return next(free)


def export_sections(vendor: str, named: Mapping[str, FoundExport]) -> str:
    """Write what ``config.toml`` has to say of exports."""
    lines: list[str] = []
    for name, found in named.items():
        lines += [f"[{vendor}.exports.{name}]"]
        lines += [f"{key} = {toml_text(value)}" for key, value in found.settings.items()]
    return "\n".join(lines)


def toml_text(text: str) -> str:
    """Write text in TOML, which differs from JSON's only in that DEL is escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
