"""Making the charges of a loaded period: the vendor's mapping, the checks, the pre-aggregates.

Everything here happens in the transaction that replaces the period. One table holds the
charges of all datasets: measured, it is replaced as fast as a table per period and read
without the time that a view over many tables takes to bind.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from types import ModuleType
from typing import Any, NamedTuple

import duckdb

from finops.columns import StoredColumn
from finops.errors import ConfigError
from finops.focus.checks import Check, load_checks, record_checks, refuse_wrong_totals
from finops.focus.columns import OWN_COLUMNS, focus_columns
from finops.focus.lookups import RELATIONS, Lookups
from finops.focus.versions import TABLE, create_views
from finops.period import BillingPeriod
from finops.sql import Connection, identifier, query, run_script, script_statements

# A bill without a column for invoice ids is final this long after its period: vendors are done.
_SETTLED_AFTER = timedelta(days=15)
_INVOICE_IDS = ("invoiceid", "billinvoiceid")
_MAKERS = ("charges.py", "columns.csv", "macros.sql", "native.py", "rollups.sql")


@dataclass(frozen=True, slots=True)
class Bill:
    """The line items of one loaded period: whose they are, where, and in which columns.

    ``columns`` are those that ``table`` has, by original name.
    """

    vendor: ModuleType
    vendor_name: str
    export: str
    dataset: str
    shape: str
    period: BillingPeriod
    load_id: str
    delivered_at: datetime
    table: str
    columns: Mapping[str, StoredColumn]


class Built(NamedTuple):
    """What was made of a loaded period: of which load, how (``made_with``), how many charges."""

    load_id: str
    made_with: str
    charges: int


def prepare_focus(db: Connection) -> None:
    """Make the dataset, or give it the columns and views that this finops knows."""
    run_script(db, "focus/macros.sql")
    query(db, f"CREATE TABLE IF NOT EXISTS {TABLE} (BillingPeriodStart TIMESTAMP)")
    _grow(db, {column.name: column.type for column in focus_columns()} | OWN_COLUMNS)
    create_views(db)


def replace_charges(
    db: Connection, bill: Bill, lookups: Lookups, *, strict: bool = False
) -> list[Check]:
    """Make the charges of a loaded period anew, from its line items; return what was checked.

    Raises:
        RefusedError: billed cost is not the source's total, a line item is missing or doubled,
            or with ``strict`` any check fails. The transaction is to be rolled back.
        ConfigError: it is the bill of another billing account than all others of the dataset.
    """
    # Another mapping may spell accounts otherwise.
    made, built = made_with(bill.vendor, lookups), built_charges(db, bill.dataset).values()
    before = _billing_accounts(db, [each.load_id for each in built if each.made_with == made])
    drop_charges(db, bill.dataset, bill.period)
    sql, values = charges_query(bill, lookups)
    if bill.vendor.brings_columns(bill.shape):
        _grow(db, {name: kind for name, kind, *_ in query(db, f"DESCRIBE {sql}", values)})
    query(db, f"INSERT INTO {TABLE} BY NAME {sql}", values)
    for statement in script_statements("focus/rollups.sql"):
        query(db, statement, {"load_id": bill.load_id})
    checks = load_checks(db, bill)
    _refuse_other_account(bill, before, _billing_accounts(db, [bill.load_id]))
    refuse_wrong_totals(bill, checks, strict=strict)
    record_checks(db, bill, checks)
    _record_build(db, bill, lookups)
    return checks


def charges_query(bill: Bill, lookups: Lookups) -> tuple[str, dict[str, Any]]:
    """Return SQL for the charges of a bill, with our own columns, and the values to bind."""
    values: dict[str, Any] = {
        "billing_period": str(bill.period),
        "BillingPeriodStart": bill.period.start.replace(tzinfo=None),
        "BillingPeriodEnd": bill.period.end.replace(tzinfo=None),
        "x_Vendor": bill.vendor_name,
        "x_Export": bill.export,
        "x_LoadId": bill.load_id,
        **lookups.values(bill.vendor.services()),
    }
    stamps = ", ".join(
        f"CAST(${name} AS {'TIMESTAMP' if name.startswith('Billing') else 'VARCHAR'}) AS {name}"
        for name in ("BillingPeriodStart", "BillingPeriodEnd", "x_Vendor", "x_Export", "x_LoadId")
    )
    charges = bill.vendor.charges(bill.shape, bill.columns, bill.table)
    sql = (
        f"WITH {RELATIONS},\ncharges AS (\n{charges}\n)\n"
        f"SELECT {stamps}, CAST($billing_period AS VARCHAR) AS x_BillingPeriod, * FROM charges"
    )
    return sql, values


def _billing_accounts(db: Connection, load_ids: list[str]) -> set[str]:
    rows = query(
        db,
        "SELECT DISTINCT BillingAccountId FROM focus.daily"
        " WHERE x_LoadId IN (SELECT unnest(?::VARCHAR[])) AND BillingAccountId IS NOT NULL",
        [load_ids],
    )
    return {account for (account,) in rows}


def _refuse_other_account(bill: Bill, before: set[str], now: set[str]) -> None:
    """Keep what another payer's bill would replace, or be mixed with."""
    if before and now and before.isdisjoint(now):
        raise ConfigError(
            f"this is the bill of {min(now)}; {bill.dataset} holds those of {min(before)}",
            code="other-export",
            do=f"give it an export of its own: [{bill.vendor_name}.exports.NAME]",
        )


def drop_charges(db: Connection, dataset: str, period: BillingPeriod) -> None:
    """Take the charges of a period out; what its loads added up to stays in ``period_totals``."""
    key = [dataset, str(period)]
    where = "WHERE dataset = ? AND billing_period = ?"
    builds = query(db, f"SELECT load_id FROM finops.charge_builds {where}", key)
    for (load_id,) in builds:
        for table in (TABLE, "focus.daily"):
            query(db, f"DELETE FROM {table} WHERE x_LoadId = ?", [load_id])
    for table in ("finops.charge_builds", "finops.checks"):
        query(db, f"DELETE FROM {table} {where}", key)


def made_with(vendor: ModuleType, lookups: Lookups) -> str:
    """Return a fingerprint of everything that decides what charges are made of line items."""
    ours = [files(__package__).joinpath(name).read_text("utf-8") for name in _MAKERS]
    parts = [*ours, *vendor.charge_rules(), str(lookups)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def built_charges(db: Connection, dataset: str) -> dict[BillingPeriod, Built]:
    """Return what charges there are of a dataset, by billing period."""
    try:
        rows = query(
            db,
            "SELECT billing_period, load_id, made_with, charges FROM finops.charge_builds"
            " WHERE dataset = ?",
            [dataset],
        )
    except duckdb.CatalogException:  # an older finops made no charges
        return {}
    return {BillingPeriod.parse(period): Built(*built) for period, *built in rows}


def _grow(db: Connection, wanted: Mapping[str, str]) -> None:
    """Add the columns that the table lacks; what vendors have in two types becomes text."""
    present = {name.lower(): kind for name, kind, *_ in query(db, f"DESCRIBE {TABLE}")}
    ours = {column.name.lower() for column in focus_columns()} | {*map(str.lower, OWN_COLUMNS)}
    for name, kind in wanted.items():
        found = present.get(name.lower())
        if found is None:
            query(db, f"ALTER TABLE {TABLE} ADD COLUMN {identifier(name)} {kind}")
        elif found not in (kind, "VARCHAR") and name.lower() not in ours:
            query(db, f"ALTER TABLE {TABLE} ALTER {identifier(name)} TYPE VARCHAR")


def _record_build(db: Connection, bill: Bill, lookups: Lookups) -> None:
    squashed = {re.sub("[^a-z]", "", name.lower()) for name in bill.columns}
    settled = bill.delivered_at >= bill.period.end.replace(tzinfo=None) + _SETTLED_AFTER
    query(
        db,
        "INSERT INTO finops.charge_builds SELECT $dataset, $period, $load_id, $made, count(*),"
        " CASE WHEN $names_invoices THEN count(InvoiceId) > 0"
        " AND count(*) FILTER (InvoiceId IS NULL AND BilledCost <> 0) = 0 ELSE $settled END"
        f" FROM {TABLE} WHERE x_LoadId = $load_id",
        {
            "dataset": bill.dataset,
            "period": str(bill.period),
            "load_id": bill.load_id,
            "made": made_with(bill.vendor, lookups),
            "names_invoices": not squashed.isdisjoint(_INVOICE_IDS),
            "settled": settled,
        },
    )
