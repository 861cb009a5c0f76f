"""Azure line items as FOCUS charges: ``charges.sql`` over what a delivery really has.

The mapping is written once, in the names of ``columns.csv``. This module finds each of them in
the delivery, whichever spelling that has. What is not there is NULL of its type.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from importlib.resources import files

from finops.columns import PERIOD_COLUMN, ColumnType, StoredColumn
from finops.focus.native import native_charges, native_totals, row_digest
from finops.money import widened_expression
from finops.sql import identifier, literal
from finops.vendors.azure.contract import FOCUS, ContractColumn, read_contract

_TYPES = {
    "text": ColumnType.TEXT,
    "money": ColumnType.MONEY,
    "quantity": ColumnType.DOUBLE,
    "date": ColumnType.TIMESTAMP,
}
# Ids of nothing: Azure writes them where there is no subscription.
_NO_ID = "00000000-0000-0000-0000-000000000000"
# Usage, purchase or refund that a reservation or savings plan is behind. Files from before
# savings plans have no pricing model; there the id of the reservation tells.
_COMMITTED = """coalesce(
        starts_with(charge_type, 'Unused') OR pricing_model IN ('Reservation', 'SavingsPlan')
        OR (coalesce(reservation_id, benefit_id) IS NOT NULL
            AND (pricing_model IS NULL OR charge_type IN ('Purchase', 'Refund'))),
        false)"""
_LOOKUPS = {
    "service_name": ("services.csv", ("key", "ServiceName")),
    "region": ("regions.csv", ("key", "id", "name")),
    "unit": ("units.csv", ("unit_of_measure", "block_size", "unit")),
}

Columns = Mapping[str, StoredColumn]


def charges(shape: str, columns: Columns, table: str) -> str:
    """Return SQL that makes charges of the line items in ``table``.

    ``columns`` are those that the table has, by original name. The SQL reads the relations
    ``service`` and ``account`` (see ``finops.focus.lookups``). Grain: one row per charge;
    costs in billing currency.
    """
    if shape == FOCUS:
        return native_charges(columns, table)
    lookups = ",\n".join(f"{name} AS (\n{_relation(name)}\n)" for name in _LOOKUPS)
    return _over_line_items(f"{lookups},\n{mapping()}", columns, table)


def source_totals(shape: str, columns: Columns, table: str) -> str:
    """Return SQL for what the line items add up to, apart from the mapping.

    Grain: one row per ``invoice_id``, ``billing_entity`` and ``currency``, with ``row_count``
    and ``total`` (what was billed).
    """
    if shape == FOCUS:
        return native_totals(columns, table)
    totals = files(__package__).joinpath("source_totals.sql").read_text("utf-8")
    return _over_line_items(totals, columns, table)


def brings_columns(_shape: str) -> bool:
    """Tell that charges have columns beside those of every store: the mapping has some, too."""
    return True


def source_row_id(_shape: str, columns: Columns) -> str:
    """Return SQL over the columns of a table for the ``x_SourceRowId`` of its rows.

    Azure gives rows no id, and rows that are alike are no error.
    """
    return row_digest(columns)


def charge_rules() -> list[str]:
    """Return all that decides what charges Azure line items become."""
    folder = files(__package__)
    names = ("charges.sql", "charges.py", "columns.csv", "services.csv", "regions.csv", "units.csv")
    return [folder.joinpath(name).read_text("utf-8") for name in names]


def mapping() -> str:
    """Return the mapping as it is written: common table expressions and the final SELECT."""
    return files(__package__).joinpath("charges.sql").read_text("utf-8")


def services() -> str:
    """Return the lookup from service names to FOCUS categories, as CSV."""
    rows = dict.fromkeys(tuple(row[1:]) for row in _rows("services.csv"))
    return "\n".join(",".join(row) for row in rows)


def line_items(columns: Columns, table: str, reader: str) -> str:
    """Return SQL that reads ``table`` in the names of ``columns.csv``; of several the first.

    Only those that ``reader`` names, to plan less. ``line_number`` tells its rows apart,
    ``source_row_id`` names them, ``is_committed`` tells what a commitment is behind.
    """
    spellings: dict[str, list[ContractColumn]] = {}
    for known in read_contract("costs").values():
        spellings.setdefault(known.name, []).append(known)
    cells = {name: _cell(columns, known) for name, known in spellings.items()}
    cells["subscription_id"] = f"nullif({cells['subscription_id']}, '{_NO_ID}')"
    wanted = {name: cell for name, cell in cells.items() if name in reader + _COMMITTED}
    spelled = ",\n".join(f"    {cell} AS {name}" for name, cell in wanted.items())
    return (
        f"SELECT *,\n    {_COMMITTED} AS is_committed\nFROM (SELECT\n    rowid AS line_number,\n"
        f"    {row_digest(columns)} AS source_row_id,\n"
        f"    CAST({PERIOD_COLUMN} || '-01' AS TIMESTAMP) AS period_start,\n{spelled}\n"
        f"FROM {table} WHERE {PERIOD_COLUMN} = $billing_period)"
    )


def _over_line_items(sql: str, columns: Columns, table: str) -> str:
    """Put the line items before SQL that begins with common table expressions of its own."""
    return f"WITH line_item AS NOT MATERIALIZED (\n{line_items(columns, table, sql)}\n),\n{sql}"


def _cell(columns: Columns, spellings: list[ContractColumn]) -> str:
    wanted = _TYPES[spellings[0].kind]
    found = [columns[known.original] for known in spellings if known.original in columns]
    cells = [_typed(column, wanted) for column in found]
    return f"coalesce({', '.join(cells)})" if cells else f"CAST(NULL AS {wanted})"


def _typed(column: StoredColumn, wanted: ColumnType) -> str:
    cell = identifier(column.name)
    if wanted == ColumnType.MONEY:
        return widened_expression(cell, column.type, wanted)
    return f"CAST({cell} AS {wanted})"


def _rows(name: str) -> list[list[str]]:
    return list(csv.reader(files(__package__).joinpath(name).read_text("utf-8").splitlines()))


def _relation(name: str) -> str:
    """Return a lookup as SQL: its first column is its key, each of which is there once."""
    file, titles = _LOOKUPS[name]
    rows = {row[0]: row[: len(titles)] for row in _rows(file)[1:]}
    values = ",\n".join(f"({', '.join(map(literal, row))})" for row in rows.values())
    return f"SELECT * FROM (VALUES\n{values}\n) AS lookup({', '.join(titles)})"
