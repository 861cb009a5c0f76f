"""``focus validate``: the charges against the rules of money and of FOCUS 1.2."""

from __future__ import annotations

from finops.datadir import DataDir
from finops.focus.checks import Check
from finops.focus.structure import structure_checks
from finops.period import BillingPeriod
from finops.sql import Connection
from finops.steps.loaded import Charges, loaded_charges
from finops.store.database import reading


def validate(
    data: DataDir, name: str | None = None, period: BillingPeriod | None = None
) -> list[tuple[str, Check]]:
    """Ask every rule; a structural one that nothing breaks is told once, for all periods.

    Returns pairs of a place (vendor, export and period, or all) and what a rule said there.

    Raises:
        LocalError: there are no charges of ``period``, or none at all.
    """
    with reading(data) as db:
        charges = loaded_charges(db, name, period)
        return [*_money(charges), *_structure(db, charges)]


def _money(charges: list[Charges]) -> list[tuple[str, Check]]:
    return [(each.place, check) for each in charges for check in each.money_checks()]


def _structure(db: Connection, charges: list[Charges]) -> list[tuple[str, Check]]:
    """Ask of all at once; only where something is broken, of each period."""
    together = structure_checks(db, [each.load.load_id for each in charges])
    broken = {check.rule for check in together if not check.ok}
    if len(charges) == 1 or not broken:
        place = charges[0].place if len(charges) == 1 else "all"
        return [(place, check) for check in together]
    whole = [("all", check) for check in together if check.ok]
    return whole + [
        (each.place, check)
        for each in charges
        for check in structure_checks(db, [each.load.load_id])
        if check.rule in broken and not check.ok
    ]
