"""Checks on charges, as SQL: what breaks a rule, how much money, and where to look.

``checks.sql`` holds what runs with every load: the money. ``structure.sql`` holds the
structural rules of FOCUS 1.2 that go beyond a single column; those of a column come from
``columns.csv``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from finops.errors import RefusedError
from finops.focus.versions import TABLE
from finops.sql import Connection, query

if TYPE_CHECKING:
    from finops.focus.charges import Bill

# A failure of these keeps the previous delivery; all others are recorded, and block if strict.
BLOCKING = ("billed-total", "row-accounting")
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
    """What a rule said of one load: rows that break it, their amount, and some of them."""

    rule: str
    says: str
    rows: int
    amount: Decimal | None
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
        money = f", {self.amount:f}".rstrip("0").rstrip(".") if self.amount is not None else ""
        return f"{self.rows:,} found{money}: {self.says} See {', '.join(self.examples)}"


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
    relations = (
        f"WITH charges AS (SELECT * FROM {TABLE} WHERE x_LoadId = $load_id"
        " AND BillingPeriodStart = $start),\n"
        f"source_total AS NOT MATERIALIZED (\n{totals}\n)"
    )
    values = {
        "load_id": bill.load_id,
        "start": bill.period.start.replace(tzinfo=None),
        "billing_period": str(bill.period),
    }
    return [run_rule(db, rule, relations, values) for rule in read_rules("checks.sql")]


def run_rule(db: Connection, rule: Rule, relations: str, values: dict[str, Any]) -> Check:
    """Run one rule over the given relations; of what breaks it, three places are named."""
    used = {name: value for name, value in values.items() if f"${name}" in relations}
    ((rows, amount, examples),) = query(
        db,
        f"{relations},\nbroken(amount, place) AS (\n{rule.sql}\n)\n"
        "SELECT count(*), sum(amount), list(place ORDER BY abs(amount) DESC)[:3] FROM broken",
        used,
    )
    return Check(rule.name, rule.says, rows, amount, tuple(map(str, examples or ())))


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


def failed_checks(checks: list[Check]) -> list[str]:
    """Return a notice for each check that failed."""
    return [f"check {check.rule}: {check.detail}" for check in checks if not check.ok]


def record_checks(db: Connection, bill: Bill, checks: list[Check]) -> None:
    """Write down what the checks said."""
    for check in checks:
        query(
            db,
            "INSERT INTO finops.checks VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                bill.dataset,
                str(bill.period),
                bill.load_id,
                check.rule,
                check.ok,
                check.rows,
                check.amount,
                list(check.examples),
            ],
        )
