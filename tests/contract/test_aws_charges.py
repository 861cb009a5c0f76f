"""AWS line items become the charges that the FOCUS specification and AWS's guides call for.

The cases in ``aws_charges`` were written by hand from those documents. A charge is compared
in the columns that its case lists; which charges there are, and the money, always.
"""

import json
import tomllib
from collections import Counter
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

import pytest

from tests.contract.cur import FORMS, PLACE, complete, deliver
from tests.driver import Finops

CASES = {
    path.stem: tomllib.loads(path.read_text(encoding="utf-8"))
    for path in sorted(Path(__file__).with_name("aws_charges").glob("*.toml"))
}
KEY = ("x_SourceRowId", "x_RowKind")
ROW_KINDS = {
    "CommitmentRefund",
    "Credit",
    "Discount",
    "DiscountedUsage",
    "Fee",
    "RIFee",
    "Refund",
    "ReservationUpfrontFee",
    "SavingsPlanCoveredUsage",
    "SavingsPlanNegation",
    "SavingsPlanRecurringFee",
    "SavingsPlanUpfrontFee",
    "SplitUsage",
    "Tax",
    "Unknown",
    "UnusedReservation",
    "UnusedSavingsPlan",
    "Usage",
}


@pytest.mark.parametrize(
    ("name", "form"),
    [(name, form) for name, case in CASES.items() for form in case.get("forms", FORMS)],
)
def test_charges_of_the_case(tmp_path, name, form):
    case = CASES[name]
    line_items = [complete(item) for item in case["line_item"]]

    finops = import_bill(tmp_path, line_items, form, case.get("columns"))

    expected = {key_of(charge): charge for charge in case["charge"]}
    assert shown_charges(finops, expected) == expected
    assert row_counts(finops) == (len(line_items), len(case["charge"]))
    assert billed(finops) == source_cost(line_items)


@pytest.mark.parametrize("form", FORMS)
def test_all_cases_in_one_bill_keep_rows_and_money(tmp_path, form):
    line_items = [
        complete(item) | {"identity_line_item_id": f"{name}-{item['identity_line_item_id']}"}
        for name, case in CASES.items()
        for item in case["line_item"]
    ]
    kinds = Counter(charge["x_RowKind"] for case in CASES.values() for charge in case["charge"])

    finops = import_bill(tmp_path, line_items, form)

    assert row_counts(finops) == (len(line_items), kinds.total())
    assert billed(finops) == source_cost(line_items)
    found = finops.query("SELECT x_RowKind, count(*) FROM focus.cost_and_usage GROUP BY 1")
    assert dict(found) == kinds


def test_every_rule_has_a_case():
    assert {
        charge["x_RowKind"] for case in CASES.values() for charge in case["charge"]
    } == ROW_KINDS


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_case_itself_adds_up(case):
    line_items = [complete(item) for item in case["line_item"]]
    charges = case["charge"]
    unused = [charge for charge in charges if charge["x_RowKind"].startswith("Unused")]

    assert sum(Decimal(charge["BilledCost"]) for charge in charges) == sum(
        source_cost(line_items).values()
    )
    assert len(charges) == len(line_items) + len(unused)
    assert all("EffectiveCost" in charge for charge in charges)


def import_bill(folder, line_items, form, columns=None):
    deliver(folder / "bucket", line_items, form, columns)
    finops = Finops(folder / "data", "--bucket", str(folder / "bucket"), *PLACE)
    answer = finops.aws("import-cur")
    assert (answer.code, answer.err) == (0, "")
    return finops


def shown_charges(finops, expected):
    """Return the charges in the store, each in the columns and spelling that are expected."""
    columns = list(dict.fromkeys(name for charge in expected.values() for name in charge))
    rows = finops.query(f"SELECT {', '.join(columns)} FROM focus.cost_and_usage")
    charges = [dict(zip(columns, row, strict=True)) for row in rows]
    return {
        key_of(charge): {
            name: spelled(charge[name], wanted)
            for name, wanted in expected.get(key_of(charge), charge).items()
        }
        for charge in charges
    }


def key_of(charge):
    return tuple(charge[name] for name in KEY)


def spelled(value, wanted):
    """Spell a value as ``wanted`` where both mean the same."""
    match value:
        case None:
            return "NULL"
        case datetime():
            return f"{value:%Y-%m-%dT%H:%M:%SZ}"
        case Decimal() | int() | float():
            return wanted if number(wanted) == number(value) else str(value)
        case str() if str(wanted).startswith("{"):
            return wanted if document(wanted) == document(value) else value
    return value


def number(value):
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def document(text):
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def row_counts(finops):
    """Return how many line items and charges the store holds."""
    (counts,) = finops.query(
        "SELECT (SELECT count(*) FROM aws_billing.billing), count(*) FROM focus.cost_and_usage"
    )
    return counts


def billed(finops):
    return dict(
        finops.query("SELECT BillingCurrency, sum(BilledCost) FROM focus.cost_and_usage GROUP BY 1")
    )


def source_cost(line_items):
    """Add up the cost column of a bill: net where it has net costs, and unblended else."""
    is_net = any(item.get("line_item_net_unblended_cost") for item in line_items)
    totals = {}
    for item in line_items:
        currency = item["line_item_currency_code"]
        totals[currency] = totals.get(currency, 0) + (net_cost(item) if is_net else gross(item))
    return totals


def net_cost(item):
    """Of rows that AWS gives no net cost, discounts are already in the others' net costs."""
    if net := item.get("line_item_net_unblended_cost"):
        return Decimal(net)
    return Decimal(0) if item["line_item_line_item_type"].endswith("Discount") else gross(item)


def gross(item):
    return Decimal(item["line_item_unblended_cost"])
