"""Single records have the columns, types and values of their specification."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from finops.columns import clean_column_name
from finops.errors import ConfigError
from finops.period import BillingPeriod
from finops.samples import generate_cur_record, generate_focus_record
from finops.vendors.aws.contract import read_contract

MOMENT = datetime(2024, 1, 15, 14, tzinfo=UTC)
# FOCUS 1.2 as AWS delivers it, without AWS's own columns.
FOCUS_1_2 = {
    column.original
    for column in read_contract("focus").values()
    if not column.original.startswith("x_")
}
NULLABLE = {
    "CapacityReservationId",
    "CapacityReservationStatus",
    "ChargeClass",
    "CommitmentDiscountCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountQuantity",
    "CommitmentDiscountStatus",
    "CommitmentDiscountType",
    "CommitmentDiscountUnit",
    "InvoiceId",
}
CATEGORIES = {"Compute", "Storage", "Databases", "Other"}


def test_a_cur_record_is_the_hour_that_was_asked_for():
    record = generate_cur_record(billing_period="2024-01", usage_date=MOMENT)

    assert record["bill/BillingPeriodStartDate"] == "2024-01-01T00:00:00Z"
    assert record["bill/BillingPeriodEndDate"] == "2024-02-01T00:00:00Z"
    assert record["lineItem/UsageStartDate"] == "2024-01-15T14:00:00Z"
    assert record["identity/TimeInterval"] == "2024-01-15T14:00:00Z/2024-01-15T15:00:00Z"
    assert record["bill/PayerAccountId"] == "012345678910"
    assert Decimal(record["lineItem/UnblendedCost"]) == Decimal("0.096")
    assert Decimal(record["lineItem/UnblendedCost"]) == Decimal(
        record["lineItem/UsageAmount"]
    ) * Decimal(record["lineItem/UnblendedRate"])


def test_a_cur_record_has_authentic_columns_and_only_text():
    record = generate_cur_record()

    assert {clean_column_name(name) for name in record} < set(read_contract("v1"))
    assert len(record) > 90
    assert all(isinstance(cell, str) for cell in record.values())


def test_a_cur_cell_can_be_replaced_and_a_tag_added():
    record = generate_cur_record(
        **{"lineItem/UnblendedCost": "1.5", "resourceTags/user:Team": "Growth"}
    )

    assert record["lineItem/UnblendedCost"] == "1.5"
    assert record["resourceTags/user:Team"] == "Growth"
    with pytest.raises(ValueError, match="category/name"):
        generate_cur_record(unblended_cost="1")


def test_a_focus_record_has_the_57_columns_of_its_version():
    record = generate_focus_record(
        billing_period="2024-01", service_name="EC2", region="us-east-1", usage_date=MOMENT
    )

    assert set(record) == FOCUS_1_2
    assert len(record) == 57
    assert {name for name, value in record.items() if value is None} == NULLABLE


@pytest.mark.parametrize("service", ["EC2", "Lambda", "S3", "RDS", "DynamoDB", "Something Else"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_focus_charge_adds_up(service, seed):
    record = generate_focus_record(service_name=service, region="eu-west-1", seed=seed)

    cost = record["ListUnitPrice"] * record["PricingQuantity"]
    assert isinstance(cost, Decimal)
    for name in ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"):
        assert record[name] == cost > 0
    assert record["ServiceName"] == service
    assert record["ServiceCategory"] in CATEGORIES
    assert record["ServiceSubcategory"]
    assert record["RegionName"] == "EU (Ireland)"
    assert record["ChargePeriodEnd"] - record["ChargePeriodStart"] == timedelta(hours=1)
    assert record["BillingPeriodStart"] <= record["ChargePeriodStart"]
    assert record["ChargePeriodEnd"] <= record["BillingPeriodEnd"]


def test_a_focus_column_can_be_replaced_and_an_extension_added():
    record = generate_focus_record(BilledCost=Decimal("-3"), ChargeCategory="Credit", x_Team="a")

    assert (record["BilledCost"], record["ChargeCategory"]) == (Decimal(-3), "Credit")
    assert record["x_Team"] == "a"
    with pytest.raises(ValueError, match="Cost"):
        generate_focus_record(Cost=Decimal(1))


@pytest.mark.parametrize("generate", [generate_cur_record, generate_focus_record])
def test_the_same_arguments_give_the_same_record(generate):
    assert generate(seed=5) == generate(seed=5) != generate(seed=6)
    assert generate(billing_period=BillingPeriod(2024, 1)) == generate(billing_period="2024-01")
    with pytest.raises(ConfigError, match="2024-13"):
        generate(billing_period="2024-13")


def test_times_are_utc():
    berlin = datetime(2024, 1, 15, 15, tzinfo=timezone(timedelta(hours=1)))
    naive = datetime(2024, 1, 15, 14)  # noqa: DTZ001 - as the architecture document writes it

    assert generate_focus_record(usage_date=berlin)["ChargePeriodStart"] == MOMENT
    assert generate_focus_record(usage_date=naive) == generate_focus_record(usage_date=MOMENT)
