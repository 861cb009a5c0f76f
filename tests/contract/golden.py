"""The golden cases: line items of a bill, and the charges that they must become.

They were written by hand from the FOCUS specification and AWS's guides. A charge is compared
in the columns that its case lists.
"""

import json
import tomllib
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from tests.contract.cur import PLACE, complete, deliver
from tests.driver import Finops

CASES = {
    path.stem: tomllib.loads(path.read_text(encoding="utf-8"))
    for path in sorted(Path(__file__).with_name("aws_charges").glob("*.toml"))
}
KEY = ("x_SourceRowId", "x_RowKind")
_COMMITMENTS = ("savings_plan_savings_plan_a_r_n", "reservation_reservation_a_r_n")


def line_items_of(case):
    return [complete(item) for item in case["line_item"]]


def is_net(line_items):
    """Tell whether all that costs something has a net cost, save discounts, and something has."""
    lacking = [item for item in line_items if not item.get("line_item_net_unblended_cost")]
    return len(lacking) < len(line_items) and not any(
        _gross(item)
        for item in lacking
        if not item["line_item_line_item_type"].endswith("Discount")
    )


def one_bill(cases):
    """Return the line items and the charges of several cases, which do not meet in their bill.

    Ids begin with the case's name, and those of commitments end with it: to compare money.
    """
    line_items, charges = [], []
    for name, case in cases.items():
        for item in line_items_of(case):
            arns = {each: f"{item[each]}-{name}" for each in _COMMITMENTS if item.get(each)}
            identity = {"identity_line_item_id": f"{name}-{item['identity_line_item_id']}"}
            line_items.append(item | arns | identity)
        charges += [
            charge | {"x_SourceRowId": f"{name}-{charge['x_SourceRowId']}"}
            for charge in case["charge"]
        ]
    return line_items, charges


def bills_of(cases):
    """Return line items and charges of two bills: of the cases without net costs, and with."""
    sides = [
        {name: case for name, case in cases.items() if is_net(line_items_of(case)) == net}
        for net in (False, True)
    ]
    return [one_bill(side) for side in sides]


def import_bill(folder, line_items, form="v2 csv", columns=None):
    deliver(folder / "bucket", line_items, form, columns)
    finops = Finops(folder / "data", "--bucket", str(folder / "bucket"), *PLACE)
    assert finops.aws("import-cur").code == 0
    return finops


def by_key(charges):
    return {key_of(charge): charge for charge in charges}


def key_of(charge):
    return tuple(charge[name] for name in KEY)


def as_expected(charge, expected):
    """Return a charge of the store in the columns and the spelling of the expected one."""
    return {name: _spelled(charge[name], wanted) for name, wanted in expected.items()}


def source_cost(line_items):
    """Add up the cost column of a bill: net where it has net costs, and unblended else."""
    cost = _net if is_net(line_items) else _gross
    totals = {}
    for item in line_items:
        currency = item["line_item_currency_code"]
        totals[currency] = totals.get(currency, 0) + cost(item)
    return totals


def _net(item):
    """Of rows that AWS gives no net cost, discounts are already in the others' net costs."""
    if net := item.get("line_item_net_unblended_cost"):
        return Decimal(net)
    return Decimal(0) if item["line_item_line_item_type"].endswith("Discount") else _gross(item)


def _gross(item):
    return Decimal(item["line_item_unblended_cost"])


def _spelled(value, wanted):
    """Spell a value as ``wanted`` where both mean the same."""
    match value:
        case None:
            return "NULL"
        case datetime():
            return f"{value:%Y-%m-%dT%H:%M:%SZ}"
        case Decimal() | int() | float():
            return wanted if _number(wanted) == _number(value) else str(value)
        case str() if str(wanted).startswith("{"):
            return wanted if _document(wanted) == _document(value) else value
    return value


def _number(value):
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def _document(text):
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)
