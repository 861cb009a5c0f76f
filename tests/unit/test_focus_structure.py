"""Each structural rule of FOCUS 1.2 finds the charge that breaks it, and no other."""

import re
from importlib.resources import files

import duckdb
import pytest

from tests.charges import create_charges

FOCUS = files("finops") / "focus"
RULE = re.compile(r"-- rule: (\S+)\n-- says: ((?:.+\n)+?)(SELECT BilledCost, [^;]+);\n")
TEXT = (FOCUS / "structure.sql").read_text()
RULES = {name: query for name, _, query in RULE.findall(TEXT)}

# rule | charge | what is done to it
MUTATIONS = [
    line.split(" | ")
    for line in r"""
billing-period-starts-a-month | usage | BillingPeriodStart = '2024-01-02'
billing-period-starts-a-month | usage | BillingPeriodStart = '2024-01-01 08:00'
billing-period-lasts-a-month | tax | BillingPeriodEnd = '2024-01-31'
billing-period-lasts-a-month | tax | BillingPeriodEnd = '2024-03-01'
charge-period-order | usage | ChargePeriodEnd = ChargePeriodStart
charge-period-order | credit | ChargePeriodStart = '2024-03-01'
charge-frequency-of-purchases | support | ChargeFrequency = 'Usage-Based'
billing-currency-format | usage | BillingCurrency = 'usd'
billing-currency-format | tax | BillingCurrency = NULL
pricing-currency-format | usage | PricingCurrency = 'US$'
no-placeholders | usage | ResourceId = ''
no-placeholders | tax | InvoiceId = 'NULL'
no-placeholders | support | SkuMeter = '  '
no-placeholders | credit | SubAccountName = 'Not Applicable'
unit-format | usage | PricingUnit = 'GB-Mo'
unit-format | usage | PricingUnit = '10K/Month'
unit-format | usage | ConsumedUnit = 'Hours/Months'
unit-format | used | CommitmentDiscountUnit = 'US$'
tags-are-an-object | usage | Tags = '{bad'
tags-are-an-object | usage | Tags = '["env"]'
tags-are-an-object | usage | Tags = ''
tags-have-unique-keys | usage | Tags = '{"env":"live","env":"test"}'
tags-hold-scalars | usage | Tags = '{"env":{"name":"live"}}'
tags-hold-scalars | usage | Tags = '{"env":["live"]}'
sku-price-details-are-an-object | usage | SkuPriceDetails = 'm5.large'
sku-price-details-are-an-object | usage | SkuPriceDetails = '2'
sku-price-details-have-unique-keys | usage | SkuPriceDetails = '{"x_a":1,"x_a":1}'
sku-price-details-hold-scalars | usage | SkuPriceDetails = '{"x_a":[]}'
sku-price-details-names | usage | SkuPriceDetails = '{"instanceType":"m5.large"}'
commitment-discount-category | used | CommitmentDiscountCategory = NULL
commitment-discount-category | usage | CommitmentDiscountCategory = 'Spend'
commitment-discount-type | plan | CommitmentDiscountType = NULL
commitment-discount-type | usage | CommitmentDiscountType = 'Savings Plan'
commitment-discount-name | usage | CommitmentDiscountName = 'Compute'
commitment-discount-status | used | CommitmentDiscountStatus = NULL
commitment-discount-status | plan | CommitmentDiscountStatus = 'Used'
commitment-discount-status | usage | CommitmentDiscountStatus = 'Used'
commitment-discount-quantity | plan | CommitmentDiscountQuantity = NULL
commitment-discount-quantity | tax | CommitmentDiscountQuantity = 1
commitment-discount-unit | unused | CommitmentDiscountUnit = NULL
commitment-discount-unit | usage | CommitmentDiscountUnit = 'USD'
commitment-discount-resource | plan | ResourceId = 'another'
commitment-discount-resource | unused | ResourceId = NULL, ResourceName = NULL, ResourceType = NULL
pricing-category-of-commitments | used | PricingCategory = 'Standard'
pricing-category-of-commitments | plan | PricingCategory = 'Committed'
capacity-reservation-status | reserved | CapacityReservationStatus = NULL
capacity-reservation-status | idle | CapacityReservationId = NULL
consumed-quantity | usage | ConsumedQuantity = NULL, ConsumedUnit = NULL
consumed-quantity | unused | ConsumedQuantity = 1, ConsumedUnit = 'Hours'
consumed-quantity | support | ConsumedQuantity = 1, ConsumedUnit = 'Hours'
consumed-unit | usage | ConsumedUnit = NULL
consumed-unit | correction | ConsumedUnit = 'Hours'
pricing-quantity | usage | PricingQuantity = NULL, PricingUnit = NULL
pricing-quantity | tax | PricingQuantity = 1, PricingUnit = 'Hours'
pricing-unit | support | PricingUnit = NULL
pricing-unit | credit | PricingUnit = 'Hours'
pricing-category | support | PricingCategory = NULL
pricing-category | tax | PricingCategory = 'Standard'
list-unit-price | usage | ListUnitPrice = NULL
list-unit-price | tax | ListUnitPrice = 1
contracted-unit-price | plan | ContractedUnitPrice = NULL
contracted-unit-price | tax | ContractedUnitPrice = 1
pricing-currency-prices-of-tax | tax | PricingCurrencyListUnitPrice = 1
pricing-currency-prices-of-tax | tax | PricingCurrencyContractedUnitPrice = 1
unit-prices-not-negative | usage | ListUnitPrice = -0.000000000000000000000001
unit-prices-not-negative | credit | ContractedUnitPrice = -1
unit-prices-not-negative | usage | PricingCurrencyListUnitPrice = -1
unit-prices-not-negative | usage | PricingCurrencyContractedUnitPrice = -1
sku-id | support | SkuId = NULL, SkuMeter = NULL, SkuPriceId = 'SKU3'
sku-id | tax | SkuId = 'SKU1', SkuMeter = 'BoxUsage'
sku-price-id | support | SkuPriceId = NULL
sku-price-id | tax | SkuPriceId = 'SKU1', SkuId = 'SKU1'
sku-price-id-has-one-sku-id | support | SkuId = NULL, SkuMeter = NULL
sku-meter-has-sku-id | credit | SkuMeter = 'BoxUsage'
sku-id-has-sku-meter | support | SkuMeter = NULL
sku-price-details-have-sku-price-id | credit | SkuPriceDetails = '{}'
region-name | usage | RegionName = NULL
region-name | tax | RegionName = 'Europe (Frankfurt)'
resource-name | tax | ResourceName = 'i-1'
resource-type | usage | ResourceType = NULL
resource-type | tax | ResourceType = 'instance'
sub-account-name | usage | SubAccountName = NULL
sub-account-name | adjustment | SubAccountName = 'Shop'
sub-account-type | usage | SubAccountType = NULL
sub-account-type | adjustment | SubAccountType = 'Linked Account'
service-subcategory | support | ServiceSubcategory = 'Virtual Machines'
""".strip().splitlines()
]
TOGETHER = {
    "sku-price-id-has-one-sku-id": "SkuId = 'another'",
    "service-name-has-one-category": "ServiceCategory = 'Storage'",
    "service-name-has-one-subcategory": "ServiceSubcategory = 'Containers'",
}


@pytest.fixture(scope="module")
def charges():
    with duckdb.connect() as db:
        create_charges(db)
        pairs = FOCUS / "service_subcategories.csv"
        db.execute("CREATE TABLE service_subcategories AS FROM read_csv(?)", [str(pairs)])
        yield db


@pytest.fixture
def db(charges):
    charges.begin()
    yield charges
    charges.rollback()


def broken(db, rule):
    return {row for _, row in db.execute(RULES[rule]).fetchall()}


def test_every_rule_is_read_and_tried():
    assert len(RULES) == TEXT.count("-- rule:") == TEXT.count(";")
    assert set(RULES) == {rule for rule, *_ in MUTATIONS} | set(TOGETHER)


def test_every_rule_names_its_section():
    assert all(re.search(r" FOCUS 1\.2, .+\.\n$", says) for _, says, _ in RULE.findall(TEXT))


@pytest.mark.parametrize("rule", RULES)
def test_charges_that_keep_a_rule_are_not_found(db, rule):
    assert broken(db, rule) == set()


@pytest.mark.parametrize(("rule", "charge", "change"), MUTATIONS)
def test_the_charge_that_breaks_a_rule_is_found(db, rule, charge, change):
    db.execute(f"UPDATE charges SET {change} WHERE x_SourceRowId = '{charge}'")

    assert broken(db, rule) == {charge}


@pytest.mark.parametrize(("rule", "change"), TOGETHER.items())
def test_charges_that_break_a_rule_together_are_all_found(db, rule, change):
    db.execute(f"UPDATE charges SET {change} WHERE x_SourceRowId = 'usage'")

    assert {"usage", "used", "unused"} <= broken(db, rule)


def test_another_provider_may_use_the_same_names(db):
    db.execute(
        "UPDATE charges SET ProviderName = 'Microsoft', ServiceCategory = 'Storage', "
        "ServiceSubcategory = 'Block Storage', SkuId = 'another' WHERE x_SourceRowId = 'usage'"
    )

    assert not any(broken(db, rule) for rule in RULES)
