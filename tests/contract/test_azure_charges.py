"""Azure line items become the charges that FOCUS and Microsoft's guide to it call for.

Each case in ``azure_charges`` is a bill of its own, written by hand. ``x_CostCenter`` names its
line items, as Azure gives them no ids.
"""

import tomllib
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from tests.contract.cost_details import PLACE, dataset_of, deliver
from tests.contract.golden import as_expected
from tests.driver import Finops

CASES = {
    path.stem: tomllib.loads(path.read_text("utf-8"))
    for path in sorted(Path(__file__).with_name("azure_charges").glob("*.toml"))
}
ROW_KINDS = {
    "Adjustment",
    "CommitmentRefund",
    "CoveredRemainder",
    "CoveredUsage",
    "Credit",
    "Purchase",
    "Refund",
    "ReservationPurchase",
    "ReservationUnused",
    "ReservationUsage",
    "SavingsPlanPurchase",
    "SavingsPlanUnused",
    "SavingsPlanUsage",
    "Tax",
    "Unknown",
    "Usage",
}


def key_of(charge):
    return charge["x_CostCenter"], charge["x_RowKind"]


def import_bill(folder, case):
    deliver(folder / "container", case)
    finops = Finops(folder / "data")
    flags = PLACE if "datasets" not in case else (*PLACE[:2], *_only(case["datasets"]))
    answer = finops(
        "azure", "import-billing", "--json", "--bucket", str(folder / "container"), *flags
    )
    assert answer.code == 0, answer.out
    return finops


def _only(datasets):
    (dataset,) = datasets
    return ("--export-name" if dataset == "actual" else "--amortized-name", dataset)


@pytest.mark.parametrize("name", CASES)
def test_charges_of_the_case(tmp_path, name):
    case = CASES[name]
    expected = {key_of(charge): charge for charge in case["charge"]}

    finops = import_bill(tmp_path, case)

    columns = list(dict.fromkeys(each for charge in expected.values() for each in charge))
    rows = finops.query(f"SELECT {', '.join(columns)} FROM focus.cost_and_usage")
    charges = [dict(zip(columns, row, strict=True)) for row in rows]
    found = Counter(key_of(charge) for charge in charges)
    assert found == Counter(expected.keys())
    shown = {key_of(charge): as_expected(charge, expected[key_of(charge)]) for charge in charges}
    assert shown == expected


@pytest.mark.parametrize("name", CASES)
def test_line_items_and_billed_cost_of_the_case_are_those_of_the_files(tmp_path, name):
    case = CASES[name]

    finops = import_bill(tmp_path, case)

    rows = finops.query(
        "SELECT dataset_type, count(*), sum(costinbillingcurrency)"
        " FROM azure_billing.billing GROUP BY 1"
    )
    labels = {"actual": "ActualCost", "amortized": "AmortizedCost"}
    wanted = Counter(labels[dataset_of(item)] for item in case["line_item"])
    assert {label: count for label, count, _ in rows} == wanted
    costs = {label: total for label, _, total in rows}
    for dataset, label in labels.items():
        items = [each for each in case["line_item"] if dataset_of(each) == dataset]
        assert costs.get(label, 0) == sum(Decimal(each["CostInBillingCurrency"]) for each in items)
    ((billed, ledger),) = finops.query(
        "SELECT (SELECT sum(BilledCost) FROM focus.cost_and_usage), totals FROM finops.loads"
    )
    assert list(ledger.values()) == [billed]
    if "ActualCost" in costs:
        assert billed == costs["ActualCost"]


def test_every_kind_of_charge_has_a_case():
    assert {
        charge["x_RowKind"] for case in CASES.values() for charge in case["charge"]
    } == ROW_KINDS


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_case_says_both_costs_of_every_charge(case):
    assert all({"BilledCost", "EffectiveCost"} <= set(charge) for charge in case["charge"])
