"""AWS line items become the charges that the FOCUS specification and AWS's guides call for.

Each case in ``aws_charges`` is a bill of its own in CUR 2.0. That CUR 1 makes the same charges
is shown of all cases in one bill.
"""

from collections import Counter
from decimal import Decimal

import duckdb
import pytest

from finops.focus.charges import charges_query
from finops.focus.columns import OWN_COLUMNS, focus_columns
from finops.focus.lookups import NO_LOOKUPS
from finops.sql import query
from finops.store.dataset import Dataset, stored_exports
from finops.store.ledger import current_loads
from finops.vendors import aws
from tests.charge_table import all_charges
from tests.contract.cur import FORMS
from tests.contract.golden import (
    CASES,
    as_expected,
    bills_of,
    by_key,
    import_bill,
    key_of,
    line_items_of,
    one_bill,
    source_cost,
)

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
NAMES = "BillingAccountName, SubAccountName"  # CUR 1 has none
IN_EVERY_FORM = {name: case for name, case in CASES.items() if "forms" not in case}


@pytest.mark.parametrize(
    ("name", "form"),
    [(name, form) for name, case in CASES.items() for form in case.get("forms", FORMS[:1])],
)
def test_charges_of_the_case(tmp_path, name, form):
    case = CASES[name]
    line_items, expected = line_items_of(case), by_key(case["charge"])

    finops = import_bill(tmp_path, line_items, form, case.get("columns"))

    assert shown_charges(finops, expected) == expected
    assert row_counts(finops) == (len(line_items), len(case["charge"]))
    assert billed(finops) == source_cost(line_items)


@pytest.mark.parametrize("bill", [0, 1], ids=["unblended", "net"])
def test_every_form_of_a_bill_makes_the_same_charges(tmp_path, bill):
    line_items, charges = bills_of(IN_EVERY_FORM)[bill]
    made = {}
    for form in FORMS:
        finops = import_bill(tmp_path / form, line_items, form)
        made[form] = all_charges(finops, without=f"x_LoadId, {NAMES}")
        assert row_counts(finops) == (len(line_items), len(charges))
        assert billed(finops) == source_cost(line_items)

    assert made["v1 csv"] == made["v1 parquet"] == made["v2 csv"]


def test_all_cases_in_one_bill_keep_rows_and_money(tmp_path):
    line_items, charges = one_bill(CASES)

    finops = import_bill(tmp_path, line_items)

    assert row_counts(finops) == (len(line_items), len(charges))
    assert billed(finops) == source_cost(line_items)
    found = finops.query("SELECT x_RowKind, count(*) FROM focus.cost_and_usage GROUP BY 1")
    assert dict(found) == Counter(charge["x_RowKind"] for charge in charges)


@pytest.mark.parametrize("form", FORMS)
def test_the_mapping_makes_the_columns_of_every_store(tmp_path, form):
    finops = import_bill(tmp_path, line_items_of(CASES["on_demand_usage"]), form)
    with duckdb.connect(str(finops.database), read_only=True) as db:
        (export,) = stored_exports(db)
        (load,) = current_loads(db, export.dataset).values()
        bill = Dataset(db, export).bill(aws, load)
        sql, values = charges_query(bill, NO_LOOKUPS)
        made = {name: kind for name, kind, *_ in query(db, f"DESCRIBE {sql}", values)}

    assert not aws.brings_columns(bill.shape)
    stored = {column.name: column.type for column in focus_columns()} | OWN_COLUMNS
    assert made == {name: stored[name] for name in made}


def test_every_rule_has_a_case():
    assert {
        charge["x_RowKind"] for case in CASES.values() for charge in case["charge"]
    } == ROW_KINDS


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_case_itself_adds_up(case):
    line_items = line_items_of(case)
    charges = case["charge"]
    unused = [charge for charge in charges if charge["x_RowKind"].startswith("Unused")]

    assert sum(Decimal(charge["BilledCost"]) for charge in charges) == sum(
        source_cost(line_items).values()
    )
    assert len(charges) == len(line_items) + len(unused)
    assert all("EffectiveCost" in charge for charge in charges)


def shown_charges(finops, expected):
    """Return the charges in the store, each in the columns and spelling that are expected."""
    columns = list(dict.fromkeys(name for charge in expected.values() for name in charge))
    rows = finops.query(f"SELECT {', '.join(columns)} FROM focus.cost_and_usage")
    charges = [dict(zip(columns, row, strict=True)) for row in rows]
    return {
        key_of(charge): as_expected(charge, expected.get(key_of(charge), charge))
        for charge in charges
    }


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
