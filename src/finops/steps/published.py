"""What leaves the store: the rows of each loaded period, and what tells them from earlier ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from finops.columns import LOAD_COLUMN, PERIOD_COLUMN, START_COLUMN
from finops.config import Config, Export
from finops.errors import FinopsError, LocalError
from finops.focus.charges import built_charges
from finops.focus.columns import focus_columns
from finops.focus.overlaps import find_overlaps, overlap_lines
from finops.focus.versions import TABLE, meanings
from finops.rows import Column, Rows
from finops.run import Outcome, PeriodResult
from finops.sql import Connection, query
from finops.store.database import reading
from finops.store.dataset import Dataset, stored_exports
from finops.store.ledger import Load, current_loads
from finops.vendors import find_vendor

_CLUSTERING = ("SubAccountId", "ServiceName", "SkuPriceId", "ResourceId", "ChargePeriodStart")


@dataclass(frozen=True, slots=True)
class PeriodRows:
    """The rows of one loaded period of an export: its line items, or its charges.

    ``content`` names what they were made of: where it is the same, so are they. ``count`` is
    how many there must be.
    """

    export: Export
    load: Load
    content: str
    count: int
    rows: Rows

    @property
    def accounts(self) -> list[str]:
        """Whose bill it is: the billing accounts of its charges, if there are any yet."""
        found = query(
            self.rows.db,
            "SELECT DISTINCT BillingAccountId FROM focus.daily"
            " WHERE x_LoadId = ? AND BillingAccountId IS NOT NULL ORDER BY 1",
            [self.load.load_id],
        )
        return [account for (account,) in found]

    def result(self, outcome: Outcome, size: int = 0) -> PeriodResult:
        """Say what became of them; ``size`` in bytes."""
        load, files = self.load, int(size > 0)
        of = (self.export.name, load.period, outcome, load.delivery_id)
        return PeriodResult(*of, files, size, self.count, load.totals)

    def failed(self, error: FinopsError) -> PeriodResult:
        """Say that they could not be published; others go on."""
        return replace(self.result(Outcome.FAILED), error=error)

    def check(self, found: int) -> None:
        """Refuse to publish less than what was loaded.

        Raises:
            LocalError: the store no longer has all the rows.
        """
        if found != self.count:
            raise LocalError(
                f"the store has {found:,} of the {self.count:,} rows of this period",
                code="missing-table",
                do="finops rebuild, or import-cur --force, brings them back",
            )


def line_items(db: Connection, export: Export) -> Iterator[PeriodRows]:
    """Yield the line items of every loaded period between the export's dates, newest first."""
    if not (loads := _loads(db, export)):
        return
    dataset = Dataset(db, export)
    columns, order = _line_item_columns(dataset)
    for load in loads:
        rows = Rows(db, f"({dataset.period_rows(load.period)})", {}, columns, order)
        yield PeriodRows(export, load, load.load_id, load.rows, rows)


def charges(db: Connection, export: Export, version: str | None = None) -> Iterator[PeriodRows]:
    """Yield the charges of every loaded period between the export's dates, newest first.

    They have the columns of a FOCUS version, or all that the dataset has.
    """
    built = built_charges(db, export.dataset)
    columns = _focus_columns(version) if version else _all_charge_columns(db)
    for load in _loads(db, export):
        made = built.get(load.period)
        if made and made.load_id == load.load_id:
            source, values = f"{TABLE} WHERE x_LoadId = $load_id", {"load_id": load.load_id}
            rows = Rows(db, source, values, columns, _CLUSTERING)
            yield PeriodRows(export, load, fingerprint(*made[:2]), made.charges, rows)


def charged_exports(config: Config, name: str | None = None) -> list[Export]:
    """Return the exports that the store holds, as they are configured; or the one called ``name``.

    Raises:
        ConfigError: none is called so.
    """
    configured = {(each.vendor, each.name): each for each in config.exports}
    with reading(config.data) as db:
        stored = stored_exports(db, name)
    return [configured.get((each.vendor, each.name), each) for each in stored]


def published_twice(config: Config, name: str | None = None) -> list[str]:
    """Say which accounts two exports both have: the charges of both are published, all rows."""
    accepted = {export: value for export, value in config.overlaps.items() if value == "count"}
    with reading(config.data) as db:
        found = [each for each in find_overlaps(db, accepted) if each.is_of(name)]
    return overlap_lines(found, "published from", "; let totals leave one of them out")


def fingerprint(*parts: object) -> str:
    """Return a short name for what the parts say together."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:32]


def _loads(db: Connection, export: Export) -> list[Load]:
    loads = current_loads(db, export.dataset).items()
    return [load for period, load in loads if export.covers(period)]


def _line_item_columns(dataset: Dataset) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    """Return the columns of ``billing`` as they are published, and which of them sort the rows."""
    registry = dataset.registry()
    start = f"CAST({PERIOD_COLUMN} || '-01' AS DATE)"
    columns = (
        Column.of_store(PERIOD_COLUMN, "VARCHAR"),
        Column(START_COLUMN, "DATE", start, START_COLUMN),
        *(Column.of_store(each.name, each.type, each.original) for each in registry.values()),
        Column.of_store(LOAD_COLUMN, "VARCHAR"),
    )
    sorting = find_vendor(dataset.export.vendor).clustering(dataset.shape())
    return columns, tuple(registry[name].name for name in sorting if name in registry)


def _all_charge_columns(db: Connection) -> tuple[Column, ...]:
    described = query(db, f"DESCRIBE {TABLE}")
    return tuple(Column.of_store(name, kind) for name, kind, *_ in described)


def _focus_columns(version: str) -> tuple[Column, ...]:
    kinds = {column.name: column.type for column in focus_columns(version)}
    return tuple(Column.of_store(name, kinds[name], cell=cell) for name, cell in meanings(version))
