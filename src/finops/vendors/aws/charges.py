"""AWS line items as FOCUS charges: ``charges.sql`` over what a delivery really has.

The mapping is written once, in the names of CUR 2.0. This module finds each of them in the
delivery: CUR 1 spells the same columns its own way, and has a column where CUR 2.0 has an
entry of a map. What is in neither is NULL of its type.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

from finops.columns import PERIOD_COLUMN, ColumnType, StoredColumn, clean_column_name
from finops.focus.native import native_charges, native_totals, row_digest
from finops.money import money_expression
from finops.sql import identifier, literal
from finops.vendors.aws.contract import read_contract
from finops.vendors.aws.names import aws_column_name

# What the mapping reads of the attributes that CUR 2.0 has in its map ``product``.
_ATTRIBUTES = ("product_name", "region", "memory", "operating_system", "storage_class", "vcpu")
# The maps of CUR 2.0, and how the columns begin that hold their entries elsewhere.
_MAPS = {
    "resource_tags": ("resourceTags/",),
    "cost_category": ("costCategory/",),
    "discount": ("discount/", "discount_"),
}
_USER = "user_"
_TYPES = {
    "text": ColumnType.TEXT,
    "money": ColumnType.MONEY,
    "quantity": ColumnType.DOUBLE,
    "timestamp": ColumnType.TIMESTAMP,
    "text_map": ColumnType.TEXT_MAP,
    "money_map": ColumnType.MONEY_MAP,
}

Columns = Mapping[str, StoredColumn]


def charges(shape: str, columns: Columns, table: str) -> str:
    """Return SQL that makes charges of the line items in ``table``.

    ``columns`` are those that the table has, by original name. The SQL reads the relations
    ``service`` and ``account`` (see ``finops.focus.lookups``). Grain: one row per charge;
    costs in billing currency.
    """
    if shape == "focus":
        return native_charges(columns, table)
    return _over_line_items(mapping(), columns, table)


def brings_columns(shape: str) -> bool:
    """Tell whether charges have columns of the delivery's own beside those of every store."""
    return shape == "focus"


def _over_line_items(sql: str, columns: Columns, table: str) -> str:
    """Put the line items before SQL that begins with common table expressions of its own."""
    return f"WITH line_item AS NOT MATERIALIZED (\n{line_items(columns, table, sql)}\n),\n{sql}"


def line_items(columns: Columns, table: str, reader: str) -> str:
    """Return SQL that reads ``table`` in the names and types of CUR 2.0.

    Only those that ``reader`` names, to plan less: SQL over the relation ``line_item``.
    ``line_number`` tells its rows apart, ``source_row_id`` names them; the billing period is
    the delivery's.
    """
    kinds = {name: column.kind for name, column in read_contract("v2").items()}
    kinds |= {f"product_{key}": "text" for key in _ATTRIBUTES}
    present = _columns_of_aws(columns, kinds)
    cells = {name: _cell(present, name, kind) for name, kind in kinds.items()}
    cells |= {name: _object(columns, name, kinds[name]) for name in _MAPS}
    start = f"CAST({PERIOD_COLUMN} || '-01' AS TIMESTAMP)"
    cells["bill_billing_period_start_date"] = start
    cells["bill_billing_period_end_date"] = f"{start} + INTERVAL 1 MONTH"
    cells["source_row_id"] = source_row_id("v2", columns)
    spelled = ",\n".join(f"    {cell} AS {name}" for name, cell in cells.items() if name in reader)
    return (
        f"SELECT\n    rowid AS line_number,\n{spelled}\n"
        f"FROM {table} WHERE {PERIOD_COLUMN} = $billing_period"
    )


def source_row_id(shape: str, columns: Columns) -> str:
    """Return SQL over the columns of a table for the ``x_SourceRowId`` of its rows.

    Line item ids repeat from hour to hour; with the interval they name a row.
    """
    present = {_squashed(original): identifier(column.name) for original, column in columns.items()}
    if shape == "focus" or "identitylineitemid" not in present:
        return row_digest(columns)
    names = ("identitylineitemid", "identitytimeinterval")
    return f"concat_ws('/', {', '.join(present[name] for name in names if name in present)})"


def source_totals(shape: str, columns: Columns, table: str) -> str:
    """Return SQL for what the line items add up to, apart from the mapping.

    Grain: one row per ``invoice_id``, ``billing_entity`` and ``currency``, with ``row_count``,
    ``total`` (what was billed) and ``unblended``.
    """
    if shape == "focus":
        return native_totals(columns, table)
    totals = files(__package__).joinpath("source_totals.sql").read_text("utf-8")
    return _over_line_items(totals, columns, table)


def charge_rules() -> list[str]:
    """Return all that decides what charges AWS line items become."""
    folder = files(__package__)
    return [
        folder.joinpath(name).read_text("utf-8")
        for name in ("charges.sql", "charges.py", "cur_v2.csv", "services.csv")
    ]


def mapping() -> str:
    """Return the mapping as it is written: common table expressions and the final SELECT."""
    return files(__package__).joinpath("charges.sql").read_text("utf-8")


def services() -> str:
    """Return the lookup from product codes and service names to FOCUS categories, as CSV."""
    return files(__package__).joinpath("services.csv").read_text("utf-8")


def _columns_of_aws(columns: Columns, kinds: Mapping[str, str]) -> Columns:
    """Return the columns that the mapping may read, by squashed name.

    Of several spellings of one name AWS's own counts; another that is of the wrong type is
    some column that happens to be called so.
    """
    contracts = read_contract("v1") | read_contract("v2")
    originals = {column.original for column in contracts.values()}
    wanted = {_squashed(name): _TYPES[kind] for name, kind in kinds.items()}

    def rank(original: str) -> int:
        return (clean_column_name(original) in contracts) + (original in originals)

    return {
        _squashed(original): columns[original]
        for original in sorted(columns, key=rank)
        if rank(original) or columns[original].type == wanted.get(_squashed(original))
    }


@lru_cache(4096)
def _squashed(name: str) -> str:
    """Return what the spellings of one column have in common."""
    return "".join(char for char in name.lower() if char.isalnum())


def _cell(present: Columns, name: str, kind: str) -> str:
    column = present.get(_squashed(name))
    attribute = name.removeprefix("product_")
    if column and kind == "quantity":
        return f"CAST({identifier(column.name)} AS DOUBLE)"
    if column:
        return identifier(column.name)
    if attribute != name and "product" in present:
        return f"{identifier(present['product'].name)}[{literal(attribute)}]"
    return f"CAST(NULL AS {_TYPES[kind]})"


def _object(columns: Columns, name: str, kind: str) -> str:
    """Return SQL for a map as a flat JSON object, wherever its entries are; NULL if empty.

    Keys are spelled as in CUR 2.0, in order; user tags lose their prefix. Where two columns
    meet in one key, as AWS merges them, the first that has a value counts.
    """
    found: dict[str, list[str]] = {}
    for original, column in columns.items():
        for prefix in _MAPS[name]:
            if original.lower().startswith(prefix.lower()):
                key = aws_column_name(original[len(prefix) :]).removeprefix(_USER)
                found.setdefault(key, []).append(_entry(column, kind))
    if name in columns:
        return _merged(columns[name], found)
    members = ", ".join(
        f"{literal(f'{json.dumps(key)}:')} || to_json(coalesce({', '.join(cells)}))"
        for key, cells in sorted(found.items())
    )
    object_text = f"nullif('{{' || concat_ws(',', {members}) || '}}', '{{}}')"
    return f"CAST({object_text if members else 'NULL'} AS JSON)"


def _merged(column: StoredColumn, found: Mapping[str, list[str]]) -> str:
    """Return SQL for a map column as JSON, with the entries that have columns of their own."""
    whole = f"map_entries({identifier(column.name)})"
    if found:
        entries = ", ".join(
            f"{{'key': {literal(key)}, 'value': coalesce({', '.join(cells)})}}"
            for key, cells in found.items()
        )
        whole = (
            f"list_filter(list_concat({whole}, [{entries}]), lambda entry: entry.value IS NOT NULL)"
        )
    return f"finops.flat_json({whole}, {literal(_USER)})"


def _entry(column: StoredColumn, kind: str) -> str:
    cell = identifier(column.name)
    return money_expression(cell, column.type) if kind == "money_map" else cell
