"""Bills that are FOCUS already: their columns as they are, and the rest of ours beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from finops.columns import PERIOD_COLUMN, StoredColumn
from finops.focus.columns import OWN_COLUMNS, FocusColumn, focus_columns
from finops.sql import identifier, literal

# The x_RowKind of such a row: no rule of ours made its costs.
NATIVE = "Native"
# What tells a version: the newest whose mark is there.
_MARKS = {
    "1.4": ("InvoiceDetailId",),
    "1.3": ("ServiceProviderName",),
    "1.2": ("InvoiceId", "PricingCurrency", "BillingAccountType"),
    "1.1": ("SkuMeter", "ServiceSubcategory"),
    "1.0": (),
}
# What every charge is stamped with; a source's column of that name is not it.
_STAMPS = ("x_Vendor", "x_Export", "x_LoadId", "x_BillingPeriod")
# What a version lacks and another column of the same row tells, the first that is there. 1.3 split
# the provider's name; Oracle still has the names of a draft of 1.0, and no contracted cost.
_INSTEAD = {
    "ProviderName": ("ServiceProviderName", "Provider"),
    "PublisherName": ("ServiceProviderName", "Publisher"),
    "ServiceProviderName": ("PublisherName", "Publisher"),
    "HostProviderName": ("ProviderName", "Provider"),
    "InvoiceIssuerName": ("InvoiceIssuer",),
    "RegionId": ("Region",),
    "ConsumedQuantity": ("UsageQuantity",),
    "ConsumedUnit": ("UsageUnit",),
    "ContractedCost": ("BilledCost",),
    "PricingCurrency": ("BillingCurrency",),
}


def native_charges(columns: Mapping[str, StoredColumn], table: str) -> str:
    """Return SQL that passes the rows of a FOCUS export on as charges.

    Columns outside the specification keep their name if it begins with ``x_``, and get
    ``x_`` before it otherwise.
    """
    columns = _as_focus_spells(columns)
    standard = {column.name: column for column in focus_columns()}
    cells = {
        "x_SourceRowId": row_digest(columns),
        "x_RowKind": literal(NATIVE),
        "x_SourceFocusVersion": f"'{focus_version(columns)}'",
    }
    for name, column in standard.items():
        spellings = (name, *_INSTEAD.get(name, ()))
        found = next((columns[each] for each in spellings if each in columns), None)
        if found and not name.startswith("BillingPeriod"):
            cells[name] = _cell(found, column)
    money = [name for name, kind in OWN_COLUMNS.items() if kind.startswith("DECIMAL")]
    taken = {name.lower() for name in (*standard, *cells, *_STAMPS, *money)}
    for original, found in columns.items():
        if original not in standard:
            name = _free_name(original, taken)
            taken.add(name.lower())
            cells[name] = _cell(found, None)
    spelled = ",\n    ".join(f"{cell} AS {identifier(name)}" for name, cell in cells.items())
    return f"SELECT\n    {spelled}\nFROM {table} WHERE {PERIOD_COLUMN} = $billing_period"


def _free_name(original: str, taken: set[str]) -> str:
    """Return the name of a column outside the specification; names differ by more than case."""
    name = original if original.startswith("x_") else f"x_{original}"
    if name.lower() not in taken:
        return name
    return f"{name}_{hashlib.sha256(original.encode()).hexdigest()[:6]}"


def native_totals(columns: Mapping[str, StoredColumn], table: str) -> str:
    """Return SQL for the billed cost and the rows of a FOCUS export, per invoice and currency."""
    columns = _as_focus_spells(columns)
    invoice, entity, cost, currency = (
        identifier(columns[name].name) if name in columns else "NULL"
        for name in ("InvoiceId", "x_BillingEntity", "BilledCost", "BillingCurrency")
    )
    return (
        f"SELECT {invoice} AS invoice_id, {entity} AS billing_entity,"
        f" coalesce({currency}, '') AS currency, count(*) AS row_count,"
        f" sum({cost}) AS total, total AS unblended, CAST(NULL AS DECIMAL(38, 24))"
        " AS effective\n"
        f"FROM {table} WHERE {PERIOD_COLUMN} = $billing_period GROUP BY ALL"
    )


def row_digest(columns: Mapping[str, StoredColumn]) -> str:
    """Return SQL that names a row by its content, where the vendor gives it no id.

    An empty cell counts for nothing, so that a column which comes later changes no name.
    """
    cells = "".join(
        f", {literal(column.name + '=')} || CAST({identifier(column.name)} AS VARCHAR)"
        for column in columns.values()
    )
    return f"md5(concat_ws(chr(31), ''{cells}))"


def focus_version(columns: Mapping[str, StoredColumn]) -> str:
    """Return the newest version that the column names tell of."""
    return next(
        version
        for version, marks in _MARKS.items()
        if not marks or any(mark in columns for mark in marks)
    )


def _as_focus_spells(columns: Mapping[str, StoredColumn]) -> dict[str, StoredColumn]:
    """Return the columns by the names of FOCUS, in any case; its own spelling counts first."""
    missing = {column.name for column in focus_columns()} - columns.keys()
    standard = {name.lower(): name for name in missing}
    return {standard.pop(name.lower(), name): column for name, column in columns.items()}


def _cell(found: StoredColumn, column: FocusColumn | None) -> str:
    cell = identifier(found.name)
    if found.type.startswith("MAP("):
        return f"finops.flat_json(map_entries({cell}), '')"
    return f"CAST({cell} AS {column.type})" if column else cell
