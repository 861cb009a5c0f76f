"""``doctor``: everything that a run needs, looked at one by one.

Nothing is written to a bucket, nothing stays in the data folder, and no lock is taken: a run
that works meanwhile is not in the way, nor is this in its way.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import duckdb

from finops import __version__
from finops.config import Config, Export
from finops.datadir import DataDir
from finops.delivery import Delivery, FailedDelivery, FoundExport
from finops.errors import ConfigError, FinopsError, LocalError
from finops.focus.lookups import read_lookups
from finops.focus.overlaps import ADVICE, Verdict, overlap_lines
from finops.run import gravest
from finops.sql import query
from finops.state import DeliveryState, State
from finops.steps.found_exports import export_sections, list_strays
from finops.steps.list_manifests import list_deliveries
from finops.steps.survey import surveying
from finops.storage import open_storage, packages
from finops.store.database import engine_limits, reading
from finops.store.dataset import Dataset, stored_exports
from finops.store.ledger import current_loads
from finops.upkeep.status import newest_attempts, overlaps_of
from finops.vendors import find_vendor

_NETWORKS = {"9p", "afs", "ceph", "cifs", "nfs", "nfs4", "smb3", "smbfs", "fuse.sshfs"}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. ``do`` of a check that did not fail makes it a warning."""

    subject: str
    detail: str = ""
    lines: tuple[str, ...] = ()
    do: str | None = None
    error: FinopsError | None = None

    @property
    def verdict(self) -> str:
        """How it is: ok, warning or failed."""
        return "failed" if self.error else "warning" if self.do else "ok"

    def failed(self, error: FinopsError) -> Check:
        """Return this check with what is wrong."""
        return replace(self, detail=error.what, do=error.do, error=error)


def examine(load: Callable[[], Config], export: str | None = None) -> Iterator[Check]:
    """Look at everything; what fails keeps nothing else from being looked at.

    ``load`` reads the configuration; ``export`` names the only one to look at.
    """
    try:
        config = load()
        read_lookups(config.service_categories, config.account_names)
        exports = _chosen(config.exports, export)
    except FinopsError as error:
        yield _looked("versions", partial(_versions, ()))
        yield Check("configuration").failed(error)
        return
    yield _looked("versions", partial(_versions, exports))
    yield Check("configuration", f"{config.file or 'no file'}; exports: {_names(config.exports)}")
    found: list[Delivery] = []
    checks = []
    for each in exports:
        look = partial(_export, config.data, each, found)
        checks.append(_looked(each.source, look))
        yield checks[-1]
    if not any(check.error for check in checks):
        yield from _strays(config.exports)
    data = config.data
    loaded: set[str] = set()
    yield _looked("data folder", partial(_folder, data.root))
    yield (database := _looked("database", partial(_store, data, loaded)))
    if not database.error:
        yield _looked("overlaps", partial(_overlaps, config, export))
    yield _looked("state", partial(_state, data))
    yield _looked("staging", partial(_staging, data))
    download = sum(each.bytes for each in found if each.fingerprint not in loaded)
    yield _looked("disk", partial(_disk, data, download))
    yield _looked("memory", partial(_memory, data))


def _looked(subject: str, look: Callable[[Check], Check]) -> Check:
    check = Check(subject)
    try:
        return look(check)
    except FinopsError as error:
        return check.failed(error)
    except (OSError, duckdb.Error, sqlite3.Error) as error:
        what = str(error).partition("\n")[0]
        return check.failed(LocalError(what, do="check rights, space and memory"))


def _versions(exports: Sequence[Export], check: Check) -> Check:
    used = dict.fromkeys(["duckdb", *(name for each in exports for name in packages(each))])
    named = ", ".join(f"{name} {_version(name)}" for name in used)
    detail = f"finops {__version__}, Python {platform.python_version()}, {named}"
    fits = duckdb.__version__.startswith("2.")
    return replace(check, detail=detail, do=None if fits else "pip install 'duckdb>=2.0,<3'")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "is not installed"


def _chosen(exports: Sequence[Export], name: str | None) -> list[Export]:
    chosen = [export for export in exports if export.is_called(name)]
    if not chosen:
        raise ConfigError(f"no export is called {name!r}", do=f"configured are: {_names(exports)}")
    return chosen


def _names(exports: Sequence[Export]) -> str:
    return ", ".join(export.source for export in exports)


def _export(data: DataDir, export: Export, deliveries: list[Delivery], check: Check) -> Check:
    """See that the bucket can be listed and manifests be read; add to ``deliveries``.

    What lies under the prefix is told even where the configuration names something else.
    """
    storage = open_storage(export)
    with surveying(data, storage, export) as survey:
        lying: list[FoundExport] = find_vendor(export.vendor).list_exports(storage, export, survey)
        check = replace(check, detail=storage.url, lines=tuple(map(_line, lying)))
        try:
            newest = list_deliveries(storage, export, survey)
        except FinopsError as error:
            _tell_places(error, export, lying)
            return check.failed(error)
    deliveries += [each for each in newest if isinstance(each, Delivery)]
    unreadable = gravest(each.error for each in newest if isinstance(each, FailedDelivery))
    return check.failed(unreadable) if unreadable else check


def _strays(exports: Sequence[Export]) -> Iterator[Check]:
    """Warn of exports that lie beside configured ones, as a payer's that came later."""
    for around, strays in list_strays(exports):
        do = f"add what finops is to load:\n{export_sections(around.vendor, strays)}"
        lines = tuple(map(_line, strays.values()))
        yield Check(f"{around.vendor}/…", f"not configured in {around.bucket}", lines, do)


def _tell_places(error: FinopsError, export: Export, lying: Sequence[FoundExport]) -> None:
    """Say what the configuration would be, where it names another place than exports lie at."""
    places = [(each.prefix, each.name) for each in lying]
    if (
        export.export_name
        and places
        and (export.prefix.strip("/"), export.export_name) not in places
    ):
        choices = (f"prefix = {prefix!r}, export_name = {name!r}" for prefix, name in places)
        error.do = f"in [{export.section}] set {'; or '.join(choices)}"


def _line(found: FoundExport) -> str:
    place = f"{found.name} under {found.prefix!r}"
    return (
        place
        if not found.shape
        else (
            f"{place}: {found.shape}, {found.file_format or 'unreadable'},"
            f" {found.first} to {found.last}, delivered {found.delivered_at:%Y-%m-%d %H:%M} UTC"
        )
    )


def _folder(root: Path, check: Check) -> Check:
    """See that files can be made in the data folder, or the folder where there is none yet."""
    there = _nearest(root)
    with tempfile.TemporaryFile(dir=there) as probe:
        probe.write(b"finops")
    kind = _file_system(there.resolve())
    made = "" if root.exists() else ", yet to be made"
    check = replace(check, detail=f"{root}{made}{kind and f', on {kind}'}")
    if kind in _NETWORKS:
        return replace(check, do="choose a local disk: locks may not hold over a network")
    if not made and root.stat().st_mode & 0o077:
        return replace(check, do=f"chmod go= '{root}': others may look into it")
    return check


def _nearest(folder: Path) -> Path:
    """Return the folder, or as much of the path to it as is there."""
    return next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())


def _file_system(folder: Path) -> str:
    """Return the type of the file system that holds a folder; empty where nothing tells it."""
    mounts = Path("/proc/self/mounts")
    lines = mounts.read_text("utf-8", "replace").splitlines() if mounts.exists() else []
    points = [line.split()[1:3] for line in reversed(lines)]
    holding = [(point, kind) for point, kind in points if folder.is_relative_to(point)]
    return max(holding, key=lambda each: len(each[0]), default=("", ""))[1]


def _store(data: DataDir, loaded: set[str], check: Check) -> Check:
    """See that the database opens and is whole; add what is loaded to ``loaded``."""
    if not data.database.exists():
        return replace(check, detail="nothing is loaded yet")
    with reading(data) as db:
        ((schema,),) = query(db, "SELECT schema_version FROM finops.meta")
        datasets = [Dataset(db, export) for export in stored_exports(db)]
        loads = [
            (each, load)
            for each in datasets
            for load in current_loads(db, each.export.dataset).values()
        ]
        missing = [
            f"{each.export.name} {load.period}"
            for each, load in loads
            if not each.has_table(load.period)
        ]
    loaded.update(load.fingerprint for _, load in loads)
    if missing:
        raise LocalError(
            f"tables were dropped by hand: {', '.join(missing)}",
            code="missing-table",
            where=str(data.database),
            do="finops rebuild, or import-cur --force, brings them back",
        )
    size = _megabytes(_size(data.database))
    return replace(check, detail=f"{len(loads)} billing periods, {size}, schema {schema}")


def _overlaps(config: Config, export: str | None, check: Check) -> Check:
    """See that no account comes through two exports without a word on which of them counts."""
    found = overlaps_of(config, export) if config.data.database.exists() else []
    verdicts = Counter(each.verdict for each in found)
    counts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
    detail = f"months with accounts in two exports: {counts}" if found else "no account is in two"
    do = ADVICE if Verdict.COUNTED_IN_BOTH in verdicts else None
    return replace(check, detail=detail, lines=tuple(overlap_lines(found, advice="")), do=do)


def _state(data: DataDir, check: Check) -> Check:
    """Look at the latest run, and at the newest attempt of every billing period."""
    if not data.state.exists():
        return replace(check, detail="no run has worked here yet")
    with closing(State(data.state)) as state:
        runs = state.runs(limit=1)
    newest = Counter(attempt.state for attempt in newest_attempts(data))
    counts = [f", {count} {state}" for state, count in sorted(newest.items())]
    open_end = any(not run.finished_at for run in runs)
    if open_end and (owner := _at_work(data)):
        return replace(check, detail=f"at work: {owner}{''.join(counts)}")
    latest = [f", the latest was {'killed' if open_end else 'finished'}" for _ in runs]
    detail = "".join(["no run works now", *latest, *counts])
    left = open_end or not newest.keys() <= {DeliveryState.LOADED}
    return replace(check, detail=detail, do="run import-cur; show-state tells more" if left else "")


def _at_work(data: DataDir) -> str:
    """Return who wrote into the lock, if that process lives; the lock is not taken.

    A process that cannot be seen from here, as in another container, passes for dead.
    """
    owner = (data.root / ".lock").read_text("utf-8", "replace")
    process = re.match(r"process (\d+),", owner)
    try:
        if process:
            os.kill(int(process[1]), 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        return owner
    return owner if process else ""


def _staging(data: DataDir, check: Check) -> Check:
    sizes = [_size(path) for path in (data.root / "staging").rglob("*")]
    return replace(check, detail=_megabytes(sum(sizes)))


def _size(path: Path) -> int:
    """Return the size of a file; 0 for a folder, and for what a run just removed."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:
        return 0


def _disk(data: DataDir, download: int, check: Check) -> Check:
    """Compare the free bytes with the clone of the store, its growth, and what is new."""
    free, store = shutil.disk_usage(_nearest(data.root)).free, _size(data.database)
    needed = 2 * store + download
    detail = (
        f"{_megabytes(free)} free; the next run needs up to {_megabytes(needed)},"
        f" of it {_megabytes(download)} to download"
    )
    do = "make room, lower keep_deliveries or keep_periods, or choose another data_dir"
    check = replace(check, detail=detail, do=do if free < needed else None)
    return (
        check.failed(LocalError(detail, code="disk-space", do=do))
        if free < store + download
        else check
    )


def _memory(data: DataDir, check: Check) -> Check:
    memory, threads = engine_limits(data)
    return replace(check, detail=f"duckdb takes up to {memory} and {threads} threads")


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
