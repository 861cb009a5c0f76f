"""Google Cloud line items as FOCUS charges: ``charges.sql`` over what a delivery really has.

The mapping is written once, in the names of ``columns.csv`` with ``_`` for the dots. What is not
there is NULL of its type.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import reduce
from importlib.resources import files

from finops.columns import PERIOD_COLUMN, ColumnType, StoredColumn, clean_column_name
from finops.focus.native import native_charges, native_totals, row_digest
from finops.money import widened_expression
from finops.sql import identifier, literal
from finops.vendors.gcp.contract import FOCUS, TYPES, USAGE, ContractColumn, read_contract

_LOOKUPS = {"region": ("regions.csv", "id, name"), "unit": ("units.csv", "unit, name")}
# What becomes Tags, in the order in which a key counts.
_TAGS = ("tags", "labels", "project_labels", "system_labels")
_NATIVE_TAGS = ("x_Tags", "x_Labels", "x_ProjectLabels", "x_SystemLabels")
_RULES = (
    *("charges.sql", "charges.py", "focus.sql", "tag_entries.sql"),
    *("columns.csv", "services.csv", "regions.csv", "units.csv"),
)

Columns = Mapping[str, StoredColumn]


def charges(shape: str, columns: Columns, table: str) -> str:
    """Return SQL that makes charges of the line items in ``table``.

    ``columns`` are those that the table has, by original name. The SQL reads the relations
    ``service`` and ``account`` (see ``finops.focus.lookups``). Grain: one row per charge;
    costs in billing currency.
    """
    if shape == FOCUS:
        whole = _packaged("focus.sql").replace("TAG_ENTRIES", _tag_entries(_NATIVE_TAGS))
        return f"WITH native AS (\n{native_charges(columns, table)}\n),\n{whole}"
    lookups = ",\n".join(f"{name} AS (\n{_relation(name)}\n)" for name in _LOOKUPS)
    return _over_line_items(f"{lookups},\n{mapping()}", columns, table)


def source_totals(shape: str, columns: Columns, table: str) -> str:
    """Return SQL for what the line items add up to, apart from the mapping.

    Grain: one row per ``billing_entity`` and ``currency``, with ``row_count`` (of charges) and
    ``total`` (what was billed). The export names no invoice.
    """
    if shape == FOCUS:
        return native_totals(columns, table)
    return _over_line_items(_packaged("source_totals.sql"), columns, table)


def brings_columns(_shape: str) -> bool:
    """Tell that charges have columns beside those of every store: both mappings have some, too."""
    return True


def source_row_id(_shape: str, columns: Columns) -> str:
    """Return SQL over the columns of a table for the ``x_SourceRowId`` of its rows.

    Google gives rows no id, and rows that are alike are no error.
    """
    return row_digest(columns)


def charge_rules() -> list[str]:
    """Return all that decides what charges Google's line items become."""
    return [_packaged(name) for name in _RULES]


def mapping() -> str:
    """Return the mapping as it is written: common table expressions and the final SELECT."""
    return _packaged("charges.sql")


def services() -> str:
    """Return the lookup from service descriptions to FOCUS categories, as CSV."""
    return _packaged("services.csv")


def line_items(columns: Columns, table: str) -> str:
    """Return SQL that reads ``table`` in the names of the mapping.

    ``source_row_id`` names its rows, ``tag_entries`` are the keys and values of all their tags.
    """
    cells = ",\n".join(
        f"    {_cell(columns, known)} AS {clean_column_name(known.original)}"
        for known in read_contract(USAGE).values()
    )
    return (
        f"SELECT *,\n{_tag_entries(_TAGS)} AS tag_entries\nFROM (SELECT\n"
        f"    {row_digest(columns)} AS source_row_id,\n"
        f"    CAST({PERIOD_COLUMN} || '-01' AS TIMESTAMP) AS period_start,\n{cells}\n"
        f"FROM {table} WHERE {PERIOD_COLUMN} = $billing_period)"
    )


def _over_line_items(sql: str, columns: Columns, table: str) -> str:
    """Put the line items before SQL that begins with common table expressions of its own."""
    return f"WITH line_item AS NOT MATERIALIZED (\n{line_items(columns, table)}\n),\n{sql}"


def _cell(columns: Columns, known: ContractColumn) -> str:
    wanted, found = TYPES[known.kind], columns.get(known.original)
    if not found:
        return f"CAST(NULL AS {wanted})"
    if wanted == ColumnType.MONEY:
        return widened_expression(identifier(found.name), found.type, wanted)
    return f"CAST({identifier(found.name)} AS {wanted})"


def _tag_entries(names: tuple[str, ...]) -> str:
    """Return SQL for the entries of some columns; the FOCUS table begins keys with a capital."""
    words = ("Key", "Value") if names == _NATIVE_TAGS else ("key", "value")
    spelled = {"{documents}": ", ".join(names), "{key}": words[0], "{value}": words[1]}
    sql = _packaged("tag_entries.sql")
    return reduce(lambda text, name: text.replace(name, spelled[name]), spelled, sql)


def _relation(name: str) -> str:
    """Return a lookup as SQL."""
    file, titles = _LOOKUPS[name]
    _, *rows = csv.reader(_packaged(file).splitlines())
    values = ",\n".join(f"({', '.join(map(literal, row))})" for row in rows)
    return f"SELECT * FROM (VALUES\n{values}\n) AS lookup({titles})"


def _packaged(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")
