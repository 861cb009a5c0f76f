"""Replacing one billing period: everything it touches changes in one transaction.

Data, registry, ledger, the view ``billing`` and the charges are committed together, in the
clone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import duckdb

from finops.columns import (
    LOAD_COLUMN,
    PERIOD_COLUMN,
    SourceColumn,
    StoredColumn,
)
from finops.delivery import Delivery
from finops.errors import BadDataError, OutOfMemoryError, RefusedError
from finops.faults import crash_point
from finops.focus.charges import replace_charges
from finops.focus.checks import failed_checks
from finops.focus.lookups import NO_LOOKUPS, Lookups
from finops.sql import Connection, identifier, query
from finops.store.dataset import STAGE, Dataset
from finops.store.ledger import Load, LoadedFile, current_loads, record_load
from finops.store.readers import (
    REPAIRED_COLUMN,
    ROUNDED_COLUMN,
    DataFileSource,
    SourceView,
    explain_failure,
    read_columns,
    readable,
    select_rows,
)
from finops.store.registry import register_columns

_SHRINK_MINIMUM = 1_000
# What a delivery can cause; a full disk or memory is not among it.
_DELIVERY_ERRORS = (
    duckdb.DataError,
    duckdb.IntegrityError,
    duckdb.ProgrammingError,
    duckdb.NotSupportedError,
)


@dataclass(frozen=True, slots=True)
class Staged:
    """A delivery on disk: where each of its files lies; ``scratch`` is for unpacking.

    ``lookups`` are the user's own; with ``strict`` every check of the charges must hold.
    """

    delivery: Delivery
    files: tuple[tuple[Path, LoadedFile], ...]
    scratch: Path
    lookups: Lookups = NO_LOOKUPS
    allow_shrink: bool = False
    strict: bool = False


@dataclass(slots=True)
class _Group:
    """Data files whose columns are described alike; they are read together."""

    columns: list[SourceColumn]
    sources: list[DataFileSource] = field(default_factory=list)


class _UnreadableError(Exception):
    """A read that failed. It is explained after the rollback, when the database answers again."""

    def __init__(self, group: _Group, cause: duckdb.Error) -> None:
        super().__init__(str(cause))
        self.group = group
        self.cause = cause


def replace_period(
    dataset: Dataset, vendor: ModuleType, staged: Staged, load_id: str
) -> tuple[Load, list[str]]:
    """Make the staged delivery the only content of its billing period.

    All or nothing: on any error the database is as it was. Returns the ledger's new row
    and notices. Rows: one per line item. Costs: ``DECIMAL(38,24)`` in billing currency.

    Raises:
        BadDataError: a file, row or cell is not what it should be; the period is kept.
        RefusedError: the period would lose more than half of its rows, or its charges are
            not the bill's.
        OutOfMemoryError: it needs more memory than the database may take.
        ConfigError: the dataset holds another export or shape.
    """
    form = (staged.delivery.file_format, staged.delivery.compression)
    flat = vendor.flattens_records()
    with ExitStack() as stack:
        sources = [
            stack.enter_context(
                readable(DataFileSource(path, file.key, *form, flat), staged.scratch)
            )
            for path, file in staged.files
        ]
        try:
            with _of_one_period(), transaction(dataset.db):
                return _replace(dataset, vendor, staged, sources, load_id)
        except _UnreadableError as error:
            group = error.group
            raise explain_failure(dataset.db, group.sources, group.columns, error.cause) from error


def remake_charges(
    dataset: Dataset, vendor: ModuleType, load: Load, lookups: Lookups, *, strict: bool = False
) -> None:
    """Make the charges of a loaded period anew; on any error the earlier ones stay.

    Raises:
        RefusedError, BadDataError, OutOfMemoryError: as ``replace_period``.
    """
    with _of_one_period(), transaction(dataset.db):
        replace_charges(dataset.db, dataset.bill(vendor, load), lookups, strict=strict)


@contextmanager
def _of_one_period() -> Iterator[None]:
    """Turn what one period alone can cause into its error; the others go on."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise OutOfMemoryError(
            f"loading it needs more memory: {str(error).splitlines()[0]}",
            do="raise memory_limit, lower threads, or give temp_dir more space",
        ) from error
    except _DELIVERY_ERRORS as error:
        raise BadDataError(
            f"the database refuses the delivery: {str(error).splitlines()[0]}",
            code="unloadable",
            do="report it, with the manifest; the other periods are not touched by it",
        ) from error


@contextmanager
def transaction(db: Connection) -> Iterator[None]:
    """Commit what happens inside as one, or nothing of it."""
    query(db, "BEGIN")
    try:
        yield
    except BaseException:
        query(db, "ROLLBACK")
        raise
    query(db, "COMMIT")


def _replace(
    dataset: Dataset,
    vendor: ModuleType,
    staged: Staged,
    sources: Sequence[DataFileSource],
    load_id: str,
) -> tuple[Load, list[str]]:
    delivery = staged.delivery
    dataset.set_up(delivery.shape)
    groups, notices = _group_by_header(dataset, vendor, delivery, sources)
    columns = [column for group in groups for column in group.columns]
    registry = register_columns(dataset.db, dataset.export.dataset, columns, load_id)
    dataset.widen_tables()
    originals = {column.original for column in columns}
    stored = {name: column for name, column in registry.items() if name in originals}
    _create_stage(dataset, stored)
    for group in groups:
        of_period = vendor.row_period(delivery.shape, stored)
        _read_into_stage(dataset, group, stored, of_period, (str(delivery.period), load_id))
    crash_point("rows-read")
    notices += _repair_notices(dataset)
    load = _measure(dataset, vendor, staged, load_id)
    notices += _replacement_notices(dataset, load)
    if not staged.allow_shrink:
        _refuse_shrinking(dataset, load)
    dataset.swap_in(delivery.period)
    crash_point("swapped")
    record_load(dataset.db, load)
    crash_point("ledger-written")
    dataset.create_view()
    crash_point("view-made")
    bill = dataset.bill(vendor, load)
    checks = replace_charges(dataset.db, bill, staged.lookups, strict=staged.strict)
    crash_point("charges-made")
    notices += _row_notices(delivery, load) + _twin_notices(load)
    return load, notices + failed_checks(checks, load.period)


def _group_by_header(
    dataset: Dataset, vendor: ModuleType, delivery: Delivery, sources: Sequence[DataFileSource]
) -> tuple[list[_Group], list[str]]:
    known = dataset.registry()
    groups: dict[tuple[object, ...], _Group] = {}
    notices: list[str] = []
    for source, file in zip(sources, delivery.files, strict=True):
        columns = read_columns(dataset.db, source)
        vendor.check_columns(delivery, columns, source.key)
        view = SourceView(dataset.db, source, columns, file.label)
        described, said = vendor.describe_columns(delivery, columns, known, view)
        notices += said
        groups.setdefault(tuple(described), _Group(described)).sources.append(source)
    return list(groups.values()), list(dict.fromkeys(notices))


def _create_stage(dataset: Dataset, stored: Mapping[str, StoredColumn]) -> None:
    spelled = "".join(f"{identifier(column.name)} {column.type}, " for column in stored.values())
    query(
        dataset.db,
        f"CREATE TABLE {dataset.table(STAGE)} ({PERIOD_COLUMN} VARCHAR, {spelled}"
        f"{LOAD_COLUMN} VARCHAR, {ROUNDED_COLUMN} INTEGER, {REPAIRED_COLUMN} VARCHAR[])",
    )


def _read_into_stage(
    dataset: Dataset,
    group: _Group,
    stored: Mapping[str, StoredColumn],
    of_period: str,
    stamps: tuple[str, str],
) -> None:
    """Read the files of a group; every row is stamped with its billing period and load.

    Where ``of_period`` tells the period of a row, those of other periods are left out.
    """
    targets = [stored[column.original] for column in group.columns]
    rows, values = select_rows(group.sources, group.columns, targets)
    if of_period:
        rows, values = f"FROM ({rows}) WHERE {of_period} = ?", [*values, stamps[0]]
    try:
        query(
            dataset.db,
            f"INSERT INTO {dataset.table(STAGE)} BY NAME SELECT ? AS {PERIOD_COLUMN},"
            f" ? AS {LOAD_COLUMN}, * FROM ({rows})",
            [*stamps, *values],
        )
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise _UnreadableError(group, error) from error


def _repair_notices(dataset: Dataset) -> list[str]:
    """Count what was mended on the way, and drop the notes of it."""
    stage = dataset.table(STAGE)
    repaired = query(
        dataset.db,
        f"SELECT label, count(*) FROM (SELECT unnest({REPAIRED_COLUMN}) AS label FROM {stage})"
        " GROUP BY 1 ORDER BY 1",
    )
    query(dataset.db, f"ALTER TABLE {stage} DROP COLUMN {REPAIRED_COLUMN}")
    return [f"{count:,} {label}" for label, count in repaired]


def _row_notices(delivery: Delivery, load: Load) -> list[str]:
    """Tell where a manifest counts other rows than the files have."""
    announced = [file.rows for file in delivery.files]
    if not announced or None in announced or sum(filter(None, announced)) == load.rows:
        return []
    said = sum(filter(None, announced))
    return [f"the manifest says {said:,} rows, and its files have {load.rows:,}"]


def _twin_notices(load: Load) -> list[str]:
    """Tell of files with the same bytes: each counts."""
    seen: dict[str, str] = {}
    twins = [
        (other, file.key)
        for file in load.files
        if (other := seen.setdefault(file.sha256, file.key)) != file.key
    ]
    return [f"{one} and {other} have the same content, and both count" for one, other in twins[:3]]


def _replacement_notices(dataset: Dataset, load: Load) -> list[str]:
    """Tell where files that were named take the place of others, which stand no more for it."""
    before = current_loads(dataset.db, load.dataset).get(load.period)
    if not dataset.export.files or before is None:
        return []
    gone = sorted({file.key for file in before.files} - {file.key for file in load.files})
    if not gone:
        return []
    what = f"{gone[0]} and {len(gone) - 1} more" if gone[1:] else gone[0]
    return [f"{what} no longer counts; name all files of a month together"]


def _refuse_shrinking(dataset: Dataset, load: Load) -> None:
    """Keep a month that would lose most of its rows: a snapshot only grows, as a rule."""
    before = current_loads(dataset.db, load.dataset).get(load.period)
    if before and before.rows > _SHRINK_MINIMUM and load.rows * 2 < before.rows:
        raise RefusedError(
            f"the period would shrink from {before.rows:,} to {load.rows:,} rows",
            code="shrunk",
            do="look at the delivery; if it is right, run again with --allow-shrink",
        )


def _measure(
    dataset: Dataset,
    vendor: ModuleType,
    staged: Staged,
    load_id: str,
) -> Load:
    """Count the staged rows and add up billed cost per currency."""
    delivery, stage = staged.delivery, dataset.table(STAGE)
    ((rounded,),) = query(dataset.db, f"SELECT coalesce(sum({ROUNDED_COLUMN}), 0) FROM {stage}")
    rows, totals, _ = dataset.measure(vendor, STAGE, delivery.period)
    query(dataset.db, f"ALTER TABLE {stage} DROP COLUMN {ROUNDED_COLUMN}")
    return Load(
        load_id=load_id,
        dataset=dataset.export.dataset,
        period=delivery.period,
        delivery_id=delivery.delivery_id,
        fingerprint=delivery.fingerprint,
        delivered_at=delivery.delivered_at.astimezone(UTC).replace(tzinfo=None),
        loaded_at=datetime.now(UTC).replace(tzinfo=None),
        files=tuple(file for _, file in staged.files),
        rows=rows,
        totals=totals,
        rounded_cells=rounded,
    )
