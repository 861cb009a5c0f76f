"""Google Cloud line items become the charges that FOCUS and Google's own table of it call for.

Each case in ``gcp_charges`` is a bill of its own, written by hand. ``x_ServiceCode`` names its
line items, as Google gives them no ids.
"""

import json
import tomllib
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from finops.focus.rules import COSTS, find_rule, read_rules
from finops.vendors.gcp import mapping
from tests.contract.billing_data import DEFAULTS, PLACE, deliver
from tests.contract.golden import as_expected
from tests.driver import Finops

CASES = {
    path.stem: tomllib.loads(path.read_text("utf-8"))
    for path in sorted(Path(__file__).with_name("gcp_charges").glob("*.toml"))
}
ROW_KINDS = {
    "Adjustment",
    "CommitmentPurchase",
    "CommittedUsage",
    "Promotion",
    "RoundingError",
    "Tax",
    "Unknown",
    "Usage",
}


KEYS = ("x_ServiceCode", "x_RowKind", "x_CreditName")


def key_of(charge):
    return tuple(charge.get(name) or "NULL" for name in KEYS)


def import_bill(folder, case):
    deliver(folder / "bucket", case["line_item"], without=case.get("without", ()))
    finops = Finops(folder / "data")
    bucket = str(folder / "bucket")
    answer = finops("gcp", "import-billing", "--json", "--bucket", bucket, *PLACE)
    assert answer.code == 0, answer.out
    return finops


@pytest.mark.parametrize("name", CASES)
def test_charges_of_the_case(tmp_path, name):
    case = CASES[name]
    expected = {key_of(charge): charge for charge in case["charge"]}

    finops = import_bill(tmp_path, case)

    columns = list(
        dict.fromkeys(
            each for charge in [dict.fromkeys(KEYS), *expected.values()] for each in charge
        )
    )
    rows = finops.query(f"SELECT {', '.join(columns)} FROM focus.cost_and_usage")
    charges = [dict(zip(columns, row, strict=True)) for row in rows]
    assert Counter(map(key_of, charges)) == Counter(expected.keys())
    shown = {key_of(charge): as_expected(charge, expected[key_of(charge)]) for charge in charges}
    assert shown == expected


@pytest.mark.parametrize("name", CASES)
def test_billed_cost_of_the_case_is_all_cost_and_all_credits(tmp_path, name):
    case = CASES[name]
    totals = Counter()
    for item in case["line_item"]:
        credit_list = json.loads(item.get("credits", "[]"), parse_float=Decimal)
        amounts = [Decimal(each["amount"]) for each in credit_list]
        totals[item.get("currency", DEFAULTS["currency"])] += Decimal(item["cost"]) + sum(amounts)

    finops = import_bill(tmp_path, case)

    billed = dict(
        finops.query("SELECT BillingCurrency, sum(BilledCost) FROM focus.cost_and_usage GROUP BY 1")
    )
    assert billed == totals
    ((ledger,),) = finops.query("SELECT totals FROM finops.loads")
    assert ledger == totals
    assert finops.query("SELECT rule FROM finops.checks WHERE NOT ok") == [
        (rule,) for rule in case.get("fails", [])
    ]


def test_every_kind_of_charge_has_a_case():
    kinds = {charge["x_RowKind"] for case in CASES.values() for charge in case["charge"]}
    assert kinds == ROW_KINDS


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_case_says_both_costs_of_every_charge(case):
    assert all({"BilledCost", "EffectiveCost"} <= set(charge) for charge in case["charge"])


@pytest.mark.parametrize("column", COSTS)
@pytest.mark.parametrize("kind", sorted(ROW_KINDS))
def test_every_cost_of_every_kind_of_charge_has_a_rule_with_its_source(kind, column):
    rule = find_rule(mapping(), column, kind)

    assert rule.says.endswith(".")
    assert f"[FOCUS] {column}" in rule.source
    assert rule.sql


def test_no_rule_is_of_a_kind_that_does_not_exist():
    assert {kind for rule in read_rules(mapping()) for kind in rule.kinds} <= ROW_KINDS
