"""Money: the one place that says how a vendor's cell becomes an exact amount.

Money is ``DECIMAL(38,24)`` in every table of every vendor (costs and unit prices).
The SQL functions behind these expressions are in ``money.sql``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Context, Decimal

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


def rounded_count(columns: Sequence[tuple[str, str]]) -> str:
    """Return SQL for how many ``columns`` of a row, with their types, lose a digit as money.

    Few cells look as if they could: only rows that have one are looked at digit by digit, by
    one expression for all columns. One for each would be most of what a small file takes.
    """
    fine = [(column, physical) for column, physical in columns if not _fits(physical)]
    if not fine:
        return "0"
    texts = ", ".join(f"CAST({column} AS VARCHAR)" for column, _ in fine)
    return (
        f"CASE WHEN {' OR '.join(_may_lose_digits(*each) for each in fine)} THEN"
        f" len(list_filter([{texts}], lambda cell: finops.is_rounded(cell))) ELSE 0 END"
    )


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


def _may_lose_digits(column: str, physical: str) -> str:
    # The shortest text of a DOUBLE has 17 digits at most.
    if physical == "DOUBLE":
        return f"(abs({column}) < 1e-7 AND {column} <> 0)"
    return f"NOT finops.is_plain_decimal(CAST({column} AS VARCHAR))"


def _fits(physical: str) -> bool:
    """Tell whether the type has no digit beyond the 24th decimal."""
    scale = re.fullmatch(r"DECIMAL\(\d+,\s*(\d+)\)", physical)
    return physical in _INTEGERS or (scale is not None and int(scale[1]) <= MONEY_SCALE)


def added(amounts: Iterable[tuple[str, Decimal]]) -> dict[str, Decimal]:
    """Add up amounts by their currency; two currencies are never added."""
    totals: dict[str, Decimal] = {}
    for currency, each in amounts:
        totals[currency] = EXACT.add(totals.get(currency, Decimal()), each)
    return dict(sorted(totals.items()))


def amount(value: Decimal) -> str:
    """Write money exactly: all its digits, but no zeros behind the last of them."""
    text = format(value, ",f")
    whole, point, part = text.partition(".")
    return whole + (point + part.rstrip("0").ljust(2, "0") if point else "")


def money(totals: Mapping[str, Decimal]) -> str:
    """Write totals per currency."""
    return ", ".join(f"{amount(total)} {currency}".strip() for currency, total in totals.items())
