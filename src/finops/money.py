"""Money: the one place that says how a vendor's cell becomes an exact amount.

Money is ``DECIMAL(38,24)`` in every table of every vendor (costs and unit prices).
The SQL functions behind these expressions are in ``money.sql``.
"""

from __future__ import annotations

from importlib.resources import files

from finops.columns import ColumnType

FUNCTIONS = files("finops").joinpath("money.sql").read_text()

_INTEGERS = frozenset(
    f"{sign}{size}" for sign in ("", "U") for size in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")
)
_FLOATS = frozenset(("FLOAT", "DOUBLE"))


def is_float(physical: str) -> bool:
    """Tell whether a physical type is binary floating point."""
    return physical in _FLOATS


def money_expression(column: str, physical: str) -> str:
    """Return SQL that turns ``column`` into money, or fails on what is no number."""
    if physical in _FLOATS:
        return f"finops.money_of_double(CAST({column} AS DOUBLE))"
    if physical in _INTEGERS or physical.startswith("DECIMAL"):
        return f"CAST({column} AS {ColumnType.MONEY})"
    return f"finops.money(nullif(CAST({column} AS VARCHAR), ''))"


def rounded_expression(column: str, physical: str) -> str:
    """Return SQL that is true where turning ``column`` into money loses a digit."""
    if physical in _FLOATS:
        return f"finops.is_rounded_double(CAST({column} AS DOUBLE))"
    if physical in _INTEGERS or physical.startswith("DECIMAL"):
        return "false"
    return f"finops.is_rounded({column})"
