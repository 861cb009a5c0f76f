"""The rules of a mapping, read from its own text: what people are told is what is run.

A cost is written as ``CASE … END AS Column`` below a comment that ends in ``Source: …``. Each
branch has a comment of its own, and is ``WHEN x_RowKind IN (…) THEN …`` or ``ELSE …``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from finops.focus.native import NATIVE

COSTS = ("BilledCost", "EffectiveCost", "ContractedCost", "ListCost")

_COMMENT = r"(?P<comment>(?: *--[^\n]*\n)+) *"
_COLUMN = re.compile(
    _COMMENT + r"CASE\n(?P<branches>(?:(?! *END AS)[^\n]*\n)+) *END AS (?P<column>\w+)"
)
_BRANCH = re.compile(
    _COMMENT + r"(?:WHEN x_RowKind IN \((?P<kinds>[^)]*)\)\s+THEN|ELSE)\s+(?P<sql>.+?)(?=\n *--|$)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Rule:
    """What a column is for charges of some ``kinds``; of all others where there are none."""

    column: str
    kinds: tuple[str, ...]
    says: str
    source: str
    sql: str


def find_rule(mapping: str, column: str, kind: str) -> Rule | None:
    """Return the rule that gives a charge of this ``x_RowKind`` its ``column``."""
    if kind == NATIVE:
        says = "The bill is in FOCUS already: the cost that it gives."
        return Rule(column, (NATIVE,), says, f"[FOCUS] {column}", column)
    return next((rule for rule in read_rules(mapping) if _applies(rule, column, kind)), None)


def read_rules(mapping: str) -> Iterator[Rule]:
    """Yield the rules in the order in which they are asked, the first that applies counts."""
    for found in _COLUMN.finditer(mapping):
        source = _words(found["comment"]).partition("Source: ")[2].rstrip(".")
        for branch in _BRANCH.finditer(found["branches"]):
            kinds = tuple(re.findall(r"'(\w+)'", branch["kinds"] or ""))
            says, sql = _words(branch["comment"]), " ".join(branch["sql"].split())
            yield Rule(found["column"], kinds, says, source, sql)


def _applies(rule: Rule, column: str, kind: str) -> bool:
    return rule.column == column and kind in (rule.kinds or (kind,))


def _words(comment: str) -> str:
    return " ".join(comment.replace("--", "").split())
