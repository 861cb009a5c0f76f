"""FOCUS files are charges already: their columns pass through."""

from __future__ import annotations

from collections.abc import Mapping

from finops.columns import StoredColumn
from finops.focus.native import native_charges, native_totals, row_digest

Columns = Mapping[str, StoredColumn]


def charges(_shape: str, columns: Columns, table: str) -> str:
    """Return SQL that passes the rows of ``table`` on as charges."""
    return native_charges(columns, table)


def source_totals(_shape: str, columns: Columns, table: str) -> str:
    """Return SQL for billed cost and rows, per invoice and currency."""
    return native_totals(columns, table)


def brings_columns(_shape: str) -> bool:
    """Tell that anyone may bring columns of their own."""
    return True


def source_row_id(_shape: str, columns: Columns) -> str:
    """Return SQL for the ``x_SourceRowId`` of rows, which have no id."""
    return row_digest(columns)


def mapping() -> str:
    """Return nothing: no cost is made by a rule of ours."""
    return ""


def charge_rules() -> list[str]:
    """Return nothing beside what decides about all native charges."""
    return []


def services() -> str:
    """Return an empty lookup: files name the categories of their services themselves."""
    return "service,ServiceCategory,ServiceSubcategory"
