"""``verify``: prove that the store holds what its ledger says, and staging what was verified."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from finops.config import Export
from finops.datadir import DataDir
from finops.errors import LocalError
from finops.focus.checks import BLOCKING
from finops.period import BillingPeriod
from finops.sql import Connection
from finops.steps.loaded import Charges, has_charges
from finops.store.database import read_every_cell, reading
from finops.store.dataset import Dataset, stored_exports
from finops.store.ledger import Load, current_loads
from finops.upkeep.staged import damaged_files, staged_deliveries
from finops.vendors import find_vendor


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check said. ``ok`` is None where there is something to know, and no fault."""

    export: str
    period: BillingPeriod | None
    check: str
    ok: bool | None
    detail: str


def verify(
    data: DataDir, name: str | None = None, period: BillingPeriod | None = None
) -> list[Finding]:
    """Compare rows and totals with the ledger, columns with the registry, files with hashes.

    Every cell of every table is read; nothing is changed.

    Raises:
        LocalError: the database is damaged, or ``period`` is not loaded.
    """
    with reading(data) as db:
        read_every_cell(db)
        findings = [
            finding
            for export in stored_exports(db, name)
            for finding in _verify_export(db, data, export, period)
        ]
    if period and all(finding.period is None for finding in findings):
        raise LocalError(f"{period} is not loaded", code="not-loaded", do="finops status")
    return findings


def _verify_export(
    db: Connection, data: DataDir, export: Export, only: BillingPeriod | None
) -> Iterator[Finding]:
    dataset = Dataset(db, export)
    problems = dataset.column_problems()
    yield Finding(export.source, None, "columns", not problems, "; ".join(problems))
    for period, load in current_loads(db, export.dataset).items():
        if only in (None, period):
            yield _verify_rows(dataset, load)
            yield from _verify_charges(dataset, load)
            yield _verify_files(data, export, load)


def _verify_rows(dataset: Dataset, load: Load) -> Finding:
    found = dataset.measure_period(find_vendor(dataset.export.vendor), load.period)
    wanted = (load.rows, load.totals, {load.load_id} if load.rows else set())
    detail = f"{load.rows:,} rows"
    if found is None:
        detail = "the table is gone; finops rebuild, or import-cur --force, brings it back"
    elif found != wanted:
        detail = f"the ledger has {_described(*wanted)}; the table has {_described(*found)}"
    return Finding(dataset.export.source, load.period, "rows and totals", found == wanted, detail)


def _verify_charges(dataset: Dataset, load: Load) -> Iterator[Finding]:
    """Run the checks of the charges again; those that do not block are notes."""
    name, period = dataset.export.source, load.period
    if not has_charges(dataset.db, dataset.export, load):
        yield Finding(name, period, "charges", None, "not made yet; import-cur makes them")
        return
    if not dataset.has_table(period):
        return
    checks = Charges(dataset, load).money_checks()
    failed = [check for check in checks if not check.ok]
    for check in failed:
        ok = False if check.rule in BLOCKING else None
        yield Finding(name, period, check.rule, ok, check.detail)
    if not failed:
        yield Finding(name, period, "charges", True, f"{len(checks)} checks")


def _described(rows: int, totals: dict[str, Decimal], loads: set[str]) -> str:
    money = ", ".join(f"{total} {currency}".strip() for currency, total in totals.items())
    return f"{rows:,} rows, {money or 'no cost'}, of {', '.join(sorted(loads)) or 'no load'}"


def _verify_files(data: DataDir, export: Export, load: Load) -> Finding:
    for delivery in staged_deliveries(data, export, load.period):
        if delivery.fingerprint == load.fingerprint:
            damaged = damaged_files(data, delivery)
            detail = ", ".join(damaged) or "as they were downloaded"
            return Finding(export.source, load.period, "staged files", not damaged, detail)
    return Finding(export.source, load.period, "staged files", None, "not in staging any more")
