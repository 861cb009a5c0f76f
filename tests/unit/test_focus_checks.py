"""Each check of the money finds what breaks it, says how much, and finds nothing else."""

from decimal import Decimal

import duckdb
import pytest

from finops.focus.checks import BLOCKING, Scope, read_rules, run_rule
from tests.charges import CHARGES, create_charges

TEXT_RULES = {rule.name: rule for rule in read_rules("checks.sql")}
SCOPE = Scope("WITH nothing AS (SELECT 1)", {}, "USD")

# rule | what is done | the amount that is told
BREAKS = [
    line.split(" | ")
    for line in """
billed-total | UPDATE source_total SET total = total + 0.000000000000000000000001 | -1E-24
billed-total | UPDATE charges SET BilledCost = BilledCost + 1 WHERE x_SourceRowId = 'tax' | 1
billed-total | UPDATE charges SET BillingCurrency = 'EUR' WHERE x_SourceRowId = 'tax' | 0
row-accounting | DELETE FROM charges WHERE x_SourceRowId = 'tax' | None
row-accounting | INSERT INTO charges FROM charges WHERE x_SourceRowId = 'tax' | None
daily-total | UPDATE daily SET EffectiveCost = 0 | None
daily-total | UPDATE daily SET BilledCost = BilledCost + 1, EffectiveCost = EffectiveCost - 1 | None
daily-total | UPDATE daily SET ListCost = NULL WHERE ServiceName LIKE '%Support' | None
costs-given | UPDATE charges SET ContractedCost = NULL WHERE x_SourceRowId = 'tax' | 1.8
costs-given | UPDATE charges SET BillingCurrency = NULL WHERE x_SourceRowId = 'tax' | 1.8
costs-given | UPDATE source_total SET total = NULL | None
known-line-item-types | UPDATE charges SET x_RowKind = 'Unknown' WHERE x_SourceRowId = 'tax' | 1.8
effective-total | UPDATE source_total SET effective = effective + 0.02 | -0.02
net-is-unblended | UPDATE source_total SET unblended = total - 0.02 | 0.02
used-commitment | UPDATE charges SET BilledCost = 0.5 WHERE x_SourceRowId = 'used' | 0.5
commitment-purchase | UPDATE charges SET EffectiveCost = 2 WHERE x_SourceRowId = 'plan' | 2
unused-commitment | UPDATE charges SET BilledCost = 1 WHERE x_SourceRowId = 'unused' | 1
unused-commitment | UPDATE charges SET ConsumedQuantity = 1 WHERE x_SourceRowId = 'unused' | 1
commitment-balance | UPDATE charges SET EffectiveCost = 0 WHERE x_SourceRowId = 'unused' | -1
commitment-balance | DELETE FROM charges WHERE x_SourceRowId IN ('used', 'unused') | -2
effective-is-billed | UPDATE charges SET EffectiveCost = 0 WHERE x_SourceRowId = 'tax' | -1.8
price-order | UPDATE charges SET ListCost = 1 WHERE x_SourceRowId = 'usage' | 1.8
price-order | UPDATE charges SET EffectiveCost = 1.9 WHERE x_SourceRowId = 'used' | 0
list-price | UPDATE charges SET ListCost = 2.1 WHERE x_SourceRowId = 'usage' | 2.1
split-costs-nothing | UPDATE charges SET AllocatedMethodId = 'x' WHERE x_SourceRowId = 'tax' | 1.8
usage-in-period | UPDATE charges SET ChargePeriodStart = '2023-12-30' | 5.4
usage-in-period | UPDATE charges SET ChargePeriodStart = '2024-02-02' | 5.4
""".strip().splitlines()
]


@pytest.fixture(scope="module")
def bill():
    with duckdb.connect() as db:
        create_charges(db)
        db.execute("ALTER TABLE charges ADD COLUMN x_RowKind VARCHAR")
        db.execute("ALTER TABLE charges ADD COLUMN AllocatedMethodId VARCHAR")
        db.execute("UPDATE charges SET x_RowKind = 'Usage'")
        db.execute("UPDATE charges SET x_RowKind = 'UnusedPlan' WHERE x_SourceRowId = 'unused'")
        # The plan costs 2 and is used for 1; list costs of what is no usage are its price.
        db.execute("UPDATE charges SET ListUnitPrice = 0, ListCost = 0 WHERE x_RowKind <> 'Usage'")
        db.execute(
            "CREATE TABLE daily AS SELECT BillingCurrency, ServiceName, SubAccountId,"
            " ChargeCategory, InvoiceId, sum(BilledCost) AS BilledCost,"
            " sum(EffectiveCost) AS EffectiveCost, sum(ListCost) AS ListCost,"
            " sum(ContractedCost) AS ContractedCost FROM charges GROUP BY ALL"
        )
        db.execute(
            "CREATE TABLE source_total AS SELECT BillingCurrency AS currency,"
            " count(*) FILTER (x_RowKind = 'Usage') AS row_count, sum(BilledCost) AS total,"
            " total AS unblended, sum(EffectiveCost) AS effective FROM charges GROUP BY ALL"
        )
        yield db


@pytest.fixture
def db(bill):
    bill.begin()
    yield bill
    bill.rollback()


def test_every_rule_is_read_and_tried():
    assert set(TEXT_RULES) == {rule for rule, *_ in BREAKS}
    assert set(BLOCKING) <= set(TEXT_RULES)
    assert all(rule.says.endswith(".") for rule in TEXT_RULES.values())


@pytest.mark.parametrize("rule", TEXT_RULES)
def test_a_right_bill_keeps_the_rule(db, rule):
    check = run_rule(db, TEXT_RULES[rule], SCOPE)

    assert (check.ok, check.rows, check.examples) == (True, 0, ())


@pytest.mark.parametrize(("rule", "change", "amount"), BREAKS)
def test_what_breaks_the_rule_is_found(db, rule, change, amount):
    db.execute(change)

    check = run_rule(db, TEXT_RULES[rule], SCOPE)

    assert not check.ok
    assert check.examples
    assert check.amount == (None if amount == "None" else Decimal(amount))


def test_a_bill_in_several_currencies_has_no_one_amount(db):
    db.execute("UPDATE charges SET EffectiveCost = 7 WHERE x_SourceRowId = 'plan'")

    check = run_rule(db, TEXT_RULES["commitment-purchase"], Scope(SCOPE.relations, {}, None))

    assert (check.rows, check.amount, check.examples) == (1, None, ("plan",))
    assert check.detail.startswith("1 found: ")


def test_three_rows_with_most_money_are_named(db):
    for rank, name in enumerate(CHARGES):
        db.execute(
            "UPDATE charges SET x_RowKind = 'Unknown', BilledCost = ? WHERE x_SourceRowId = ?",
            [-rank, name],
        )

    check = run_rule(db, TEXT_RULES["known-line-item-types"], SCOPE)

    assert check.rows == len(CHARGES)
    assert check.examples == tuple(reversed(CHARGES))[:3]
