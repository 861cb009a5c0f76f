"""Checks on charges, as SQL: what breaks a rule, how much money, and where to look.

``checks.sql`` holds what runs with every load: the money. ``structure.sql`` holds the
structural rules of FOCUS 1.2 that go beyond a single column; those of a column come from
``columns.csv``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from finops.errors import RefusedError
from finops.focus.versions import TABLE
from finops.money import EXACT
from finops.sql import Connection, query

if TYPE_CHECKING:
    from finops.focus.charges import Bill

# A failure of these keeps the previous delivery; all others are recorded, and block if strict.
BLOCKING = ("billed-total", "row-accounting", "daily-total")
_BLOCK = re.compile(
    r"-- rule: (?P<rule>\S+)\n-- says: (?P<says>(?:.*\n(?:-- )?)*?)(?=SELECT|WITH)(?P<sql>[^;]+);"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """A check as it is written: its name, one sentence, and SQL for what breaks it."""

    name: str
    says: str
    sql: str


@dataclass(frozen=True, slots=True)
class Check:
    """What a rule said: how many rows break it, their amount, and some of them.

    ``amount`` is in ``currency``; both are None where the charges have several currencies.
    """

    rule: str
    says: str
    rows: int
    amount: Decimal | None
    currency: str | None
    examples: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing breaks the rule."""
        return not self.rows

    @property
    def detail(self) -> str:
        """What was found, for people."""
        if self.ok:
            return self.says
        money = f" ({self.amount.normalize(EXACT):f} {self.currency})" if self.amount else ""
        return f"{self.rows:,} found{money}: {self.says} See {', '.join(self.examples)}"


@dataclass(frozen=True, slots=True)
class Scope:
    """What rules are asked of: relations as common table expressions, and values to bind."""

    relations: str
    values: dict[str, Any]
    currency: str | None


@cache
def read_rules(name: str) -> tuple[Rule, ...]:
    """Return the rules of a ``.sql`` file of this package."""
    text = files(__package__).joinpath(name).read_text("utf-8")
    return tuple(
        Rule(found["rule"], " ".join(found["says"].replace("--", "").split()), found["sql"])
        for found in _BLOCK.finditer(text)
    )


def load_checks(db: Connection, bill: Bill) -> list[Check]:
    """Run what ``checks.sql`` says on the charges of one load, against its line items."""
    totals = bill.vendor.source_totals(bill.shape, bill.columns, bill.table)
    charges = charges_of(db, [bill.load_id])
    with_source = Scope(
        f"{charges.relations},\nsource_total AS (SELECT currency, sum(row_count) AS row_count,"
        f" sum(total) AS total, sum(unblended) AS unblended, sum(effective) AS effective"
        f" FROM (\n{totals}\n) GROUP BY ALL)",
        {**charges.values, "billing_period": str(bill.period)},
        charges.currency,
    )
    return [
        run_rule(db, rule, with_source if "source_total" in rule.sql else charges)
        for rule in read_rules("checks.sql")
    ]


def charges_of(db: Connection, load_ids: Sequence[str]) -> Scope:
    """Return the relations ``charges`` and ``daily`` of some loads."""
    values = {"load_ids": list(load_ids)}
    mine = "x_LoadId IN (SELECT unnest($load_ids::VARCHAR[]))"
    currencies = query(db, f"SELECT DISTINCT BillingCurrency FROM focus.daily WHERE {mine}", values)
    relations = (
        f"WITH charges AS (SELECT * FROM {TABLE} WHERE {mine}),\n"
        f"daily AS (SELECT * FROM focus.daily WHERE {mine})"
    )
    return Scope(relations, values, currencies[0][0] if len(currencies) == 1 else None)


def run_rule(db: Connection, rule: Rule, scope: Scope) -> Check:
    """Run one rule; of what breaks it, the three places with most money are named."""
    ((rows, amount, examples),) = query(
        db,
        f"{scope.relations},\nbroken(amount, place) AS (\n{rule.sql}\n)\n"
        "SELECT count(*), sum(amount), arg_max(place, coalesce(abs(amount), 0), 3) FROM broken",
        scope.values,
    )
    amount = amount if scope.currency else None
    places = tuple(map(str, examples or ()))
    return Check(rule.name, rule.says, rows, amount, scope.currency, places)


def refuse_wrong_totals(bill: Bill, checks: list[Check], *, strict: bool) -> None:
    """Refuse charges whose total or number is not the source's.

    Raises:
        RefusedError: a blocking check failed; with ``strict``, any.
    """
    for check in checks:
        if not check.ok and (strict or check.rule in BLOCKING):
            raise RefusedError(
                f"the charges fail the check {check.rule}: {check.detail}",
                code="check-failed",
                where=f"{bill.vendor_name}/{bill.export} {bill.period}",
                do="report it, with the rows named"
                if check.rule in BLOCKING
                else "look at the rows named, or run without --strict",
            )


def failed_checks(checks: list[Check], period: object) -> list[str]:
    """Return what a user should know of checks that failed, in one line."""
    failed = [check.rule for check in checks if not check.ok]
    if not failed:
        return []
    what = f"{len(failed)} checks of the charges failed" if failed[1:] else "a check failed"
    return [f"{what}: {', '.join(failed)}; finops verify {period} tells more"]


def record_checks(db: Connection, bill: Bill, checks: list[Check]) -> None:
    """Write down what the checks said."""
    query(
        db,
        "INSERT INTO finops.checks SELECT $dataset, $period, $load_id, unnest($rules::VARCHAR[]),"
        " unnest($ok::BOOLEAN[]), unnest($rows::BIGINT[]), unnest($amounts::DECIMAL(38, 24)[]),"
        " unnest($examples::VARCHAR[][])",
        {
            "dataset": bill.dataset,
            "period": str(bill.period),
            "load_id": bill.load_id,
            "rules": [check.rule for check in checks],
            "ok": [check.ok for check in checks],
            "rows": [check.rows for check in checks],
            "amounts": [None if check.amount is None else f"{check.amount:f}" for check in checks],
            "examples": [list(check.examples) for check in checks],
        },
    )
