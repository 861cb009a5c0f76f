"""Money: the one place that says how a vendor's cell becomes an exact amount.

Money is ``DECIMAL(38,24)`` in every table of every vendor (costs and unit prices).
The SQL functions behind these expressions are in ``money.sql``.
"""

from __future__ import annotations

import re
from decimal import Context

from finops.columns import ColumnType

MONEY_SCALE = 24
# Python rounds to 28 digits where nobody says otherwise; money has 38.
EXACT = Context(prec=76)

_INTEGERS = frozenset(
    f"{sign}{size}" for sign in ("", "U") for size in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")
)


def money_expression(column: str, physical: str) -> str:
    """Return SQL that turns ``column`` into money, or fails on what is no number."""
    if physical == "DOUBLE":
        return f"finops.money_of_double({column})"
    if _fits(physical):
        return f"CAST({column} AS {ColumnType.MONEY})"
    return f"finops.money(nullif(CAST({column} AS VARCHAR), ''))"


def rounded_expression(column: str, physical: str) -> str:
    """Return SQL that is true where turning ``column`` into money loses a digit."""
    if physical == "DOUBLE":
        return f"finops.is_rounded_double({column})"
    if _fits(physical):
        return "false"
    return f"finops.is_rounded(CAST({column} AS VARCHAR))"


def widened_expression(value: str, present: str, wanted: str) -> str:
    """Return SQL that turns a value into the wider type its column was given since.

    What a delivery calls a number stays that number, so it is the same text whether it was
    loaded before the column became text or after.
    """
    if present == wanted:
        return value
    if wanted == ColumnType.MONEY:
        return money_expression(value, present)
    if wanted == ColumnType.TEXT and present == ColumnType.MONEY:
        return f"rtrim(rtrim(CAST({value} AS VARCHAR), '0'), '.')"
    if wanted == ColumnType.TEXT and present.startswith("MAP("):
        return f"CAST(to_json({value}) AS VARCHAR)"
    return f"CAST({value} AS {wanted})"


def _fits(physical: str) -> bool:
    """Tell whether the type has no digit beyond the 24th decimal."""
    scale = re.fullmatch(r"DECIMAL\(\d+,\s*(\d+)\)", physical)
    return physical in _INTEGERS or (scale is not None and int(scale[1]) <= MONEY_SCALE)
