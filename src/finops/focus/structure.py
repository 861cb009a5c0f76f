"""The structural rules of FOCUS 1.2: presence, null, type, enum, format, as SQL.

Those of a single column come from ``columns.csv``, those between columns from
``structure.sql``. A rule that FOCUS only recommends says "should".
"""

from __future__ import annotations

from collections.abc import Sequence

from finops.focus.checks import Check, Rule, Scope, charges_of, read_rules, run_rule
from finops.focus.columns import FocusColumn, focus_columns
from finops.focus.lookups import subcategories
from finops.focus.versions import view_of
from finops.sql import Connection, identifier, literal, query

VALIDATED = "1.2"
_BROKEN = "SELECT BilledCost, x_SourceRowId FROM charges WHERE"


def structure_checks(db: Connection, load_ids: Sequence[str]) -> list[Check]:
    """Ask every structural rule of the charges of some loads."""
    charges = charges_of(db, load_ids)
    pairs = sorted(subcategories())
    scope = Scope(
        f"{charges.relations},\nservice_subcategories AS (SELECT"
        " unnest($categories::VARCHAR[]) AS ServiceCategory,"
        " unnest($subcategories::VARCHAR[]) AS ServiceSubcategory)",
        {
            **charges.values,
            "categories": [category for category, _ in pairs],
            "subcategories": [subcategory for _, subcategory in pairs],
        },
        charges.currency,
    )
    return [_presence(db), *(run_rule(db, rule, scope) for rule in structure_rules())]


def structure_rules() -> list[Rule]:
    """Return the rules of each column, then those between columns."""
    columns = focus_columns(VALIDATED)
    return [
        *(_not_null(column) for column in columns if not column.nullable),
        *(_allowed(column) for column in columns if column.allowed),
        *read_rules("structure.sql"),
    ]


def is_recommended(check: Check) -> bool:
    """Tell whether FOCUS only recommends what the rule says."""
    return " should " in check.says


def _presence(db: Connection) -> Check:
    """Compare the view of the version with its columns and their types."""
    found = {(name, kind) for name, kind, *_ in query(db, f"DESCRIBE {view_of(VALIDATED)}")}
    wanted = {(column.name, column.type) for column in focus_columns(VALIDATED)}
    wrong = sorted(" ".join(pair) for pair in wanted ^ found)
    says = f"The view has the columns of FOCUS {VALIDATED}, in their types."
    return Check("columns", says, len(wrong), None, None, tuple(wrong))


def _not_null(column: FocusColumn) -> Rule:
    name = column.name
    return Rule(
        f"{name}-given",
        f"{name} is never NULL. FOCUS {VALIDATED}, {name}.",
        f"{_BROKEN} {identifier(name)} IS NULL",
    )


def _allowed(column: FocusColumn) -> Rule:
    name, values = column.name, ", ".join(map(literal, column.allowed))
    return Rule(
        f"{name}-allowed",
        f"{name} is one of {', '.join(column.allowed)}. FOCUS {VALIDATED}, {name}.",
        f"{_BROKEN} {identifier(name)} NOT IN ({values})",
    )
