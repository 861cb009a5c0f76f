"""The AWS columns: CSV and Parquet of one export land in the same columns, of the right type."""

from datetime import UTC, datetime

import pytest

from finops.columns import ColumnType, FileColumn, assign_names, clean_column_name
from finops.delivery import Delivery, ManifestColumn
from finops.period import BillingPeriod
from finops.vendors.aws.contract import cost_columns, describe_columns, read_contract
from finops.vendors.aws.names import aws_column_name

# From AWS's own Parquet files and the rule of its user guide, written down by hand.
SPELLINGS = [
    ("identity/LineItemId", "identity_line_item_id"),
    ("lineItem/LineItemType", "line_item_line_item_type"),
    ("lineItem/UnblendedCost", "line_item_unblended_cost"),
    ("lineItem/UsageAccountId", "line_item_usage_account_id"),
    ("bill/PayerAccountId", "bill_payer_account_id"),
    ("reservation/ReservationARN", "reservation_reservation_a_r_n"),
    ("savingsPlan/SavingsPlanARN", "savings_plan_savings_plan_a_r_n"),
    ("savingsPlan/SavingsPlanEffectiveCost", "savings_plan_savings_plan_effective_cost"),
    ("product/maxIopsvolume", "product_max_iopsvolume"),
    ("product/caseSeverityresponseTimes", "product_case_severityresponse_times"),
    ("product/usagetype", "product_usagetype"),
    ("product/ProductName", "product_product_name"),
    ("pricing/publicOnDemandCost", "pricing_public_on_demand_cost"),
    ("resourceTags/user:CostCenter", "resource_tags_user_cost_center"),
    ("resourceTags/aws:createdBy", "resource_tags_aws_created_by"),
    ("resourceTags/user:foo-bar", "resource_tags_user_foo_bar"),
    ("costCategory/Cost Centre", "cost_category_cost_centre"),
    ("costCategory/Team (EU)", "cost_category_team_e_u"),
]


def delivery(columns=(), shape="v1", file_format="parquet"):
    return Delivery(
        vendor="aws",
        export="default",
        period=BillingPeriod(2024, 1),
        delivery_id="d",
        manifest_key="k",
        manifest_etag="e",
        delivered_at=datetime(2024, 1, 5, tzinfo=UTC),
        shape=shape,
        file_format=file_format,
        compression="none",
        files=(),
        columns=tuple(ManifestColumn(*column) for column in columns),
    )


def describe(found, columns, known=()):
    described, notices = describe_columns(found, [FileColumn(*each) for each in columns], known)
    return {each.file_column.name: each for each in described}, notices


def original_of(name, columns=(), known=()):
    described, notices = describe(delivery([(each,) for each in columns]), [(name,)], known)
    return described[name].original, notices


@pytest.mark.parametrize(("original", "aws"), SPELLINGS)
def test_a_csv_name_is_spelled_as_aws_spells_it_in_parquet(original, aws) -> None:
    assert aws_column_name(original) == aws


def test_the_standard_columns_are_told_apart_by_either_spelling() -> None:
    originals = [column.original for column in read_contract("v1").values()]

    assert len(originals) > 200
    assert len({clean_column_name(each) for each in originals}) == len(originals)
    assert len({aws_column_name(each) for each in originals}) == len(originals)


@pytest.mark.parametrize("shape", ["v1", "v2", "focus"])
def test_the_total_of_a_bill_is_money_in_its_contract(shape) -> None:
    cost, currency = cost_columns(shape)
    contract = read_contract(shape)

    assert contract[clean_column_name(cost)].original == cost
    assert contract[clean_column_name(cost)].kind == "money"
    assert contract[clean_column_name(currency)].kind == "text"


# Back from AWS's spelling


@pytest.mark.parametrize(("original", "aws"), SPELLINGS)
def test_the_manifest_leads_back_from_parquet_names(original, aws) -> None:
    assert original_of(aws, columns=[original]) == (original, [])


def test_columns_known_from_csv_lead_back_from_parquet_names() -> None:
    tag = "resourceTags/user:CostCenter"

    assert original_of("resource_tags_user_cost_center", known=[tag]) == (tag, [])


def test_the_contract_leads_back_from_the_standard_names() -> None:
    for column in read_contract("v1").values():
        assert original_of(aws_column_name(column.original)) == (column.original, [])


def test_the_manifest_knows_better_than_what_came_earlier() -> None:
    manifest, earlier = "resourceTags/user:costCenter", "resourceTags/user:cost_center"

    original, _ = original_of("resource_tags_user_cost_center", [manifest], [earlier])

    assert original == manifest


@pytest.mark.parametrize("source", ["columns", "known"])
def test_tags_that_aws_merged_stay_in_its_spelling_and_are_reported(source) -> None:
    merged = ["resourceTags/user:foo-bar", "resourceTags/user:foo_bar"]

    original, notices = original_of("resource_tags_user_foo_bar", **{source: merged})

    assert original == "resource_tags_user_foo_bar"
    (notice,) = notices
    assert "resource_tags_user_foo_bar" in notice


def test_a_tag_that_nobody_knows_stays_in_aws_s_spelling_and_is_reported() -> None:
    original, notices = original_of("resource_tags_user_brand_new")

    assert original == "resource_tags_user_brand_new"
    assert len(notices) == 1


@pytest.mark.parametrize(
    ("shape", "file_format"), [("v1", "csv"), ("v2", "parquet"), ("v2", "csv")]
)
def test_other_forms_say_themselves_what_their_columns_are_called(shape, file_format) -> None:
    columns = [("line_item_unblended_cost",), ("identity/LineItemId",)]

    described, notices = describe(delivery(shape=shape, file_format=file_format), columns)

    assert [each.original for each in described.values()] == [name for (name,) in columns]
    assert notices == []


def test_csv_and_parquet_of_one_export_land_in_the_same_columns() -> None:
    originals = [original for original, _ in SPELLINGS]
    announced = [(original,) for original in originals]
    from_csv, _ = describe(delivery(announced, file_format="csv"), announced)
    from_parquet, _ = describe(delivery(announced), [(aws,) for _, aws in SPELLINGS])

    names = assign_names([each.original for each in from_csv.values()], {})
    again = assign_names([each.original for each in from_parquet.values()], names)

    assert again == names
    assert names["identity/LineItemId"] == "identity_lineitemid"


def test_the_contract_orders_the_columns_that_it_knows() -> None:
    described, _ = describe(
        delivery(file_format="csv"),
        [("lineItem/UnblendedCost",), ("identity/LineItemId",), ("resourceTags/user:a",)],
    )
    positions = {name: column.position for name, column in described.items()}

    assert positions["identity/LineItemId"] == 0
    assert positions["lineItem/UnblendedCost"] > 0
    assert positions["resourceTags/user:a"] is None


# Types


def type_of(name, physical="VARCHAR", announced="", shape="v1", file_format="csv"):
    found = delivery([(name, announced)], shape, file_format)
    described, _ = describe(found, [(name, physical)])
    return described[name].type


@pytest.mark.parametrize("physical", ["VARCHAR", "DOUBLE", "DECIMAL(38,10)", "BIGINT"])
@pytest.mark.parametrize("announced", ["", "OptionalBigDecimal", "String", "new word"])
@pytest.mark.parametrize(
    ("shape", "name"),
    [
        ("v1", "lineItem/UnblendedCost"),
        ("v1", "reservation/EffectiveCost"),
        ("v1", "savingsPlan/SavingsPlanRate"),
        ("v1", "discount/TotalDiscount"),
        ("v2", "line_item_net_unblended_cost"),
        ("v2", "split_line_item_split_cost"),
        ("focus", "BilledCost"),
        ("focus", "EffectiveCost"),
        ("focus", "ListUnitPrice"),
        ("focus", "billedcost"),
    ],
)
def test_costs_and_prices_are_money_whatever_they_come_as(shape, name, physical, announced) -> None:
    assert type_of(name, physical, announced, shape) == ColumnType.MONEY


@pytest.mark.parametrize(
    ("shape", "name"),
    [
        ("v1", "lineItem/UsageAmount"),
        ("v2", "line_item_usage_amount"),
        ("v2", "line_item_normalization_factor"),
        ("focus", "ConsumedQuantity"),
        ("focus", "PricingQuantity"),
    ],
)
def test_quantities_stay_double_and_are_exact_where_they_are_text(shape, name) -> None:
    assert type_of(name, "DOUBLE", shape=shape, file_format="parquet") == ColumnType.DOUBLE
    assert type_of(name, "VARCHAR", shape=shape) == ColumnType.MONEY


@pytest.mark.parametrize(
    ("shape", "name"),
    [
        ("v1", "lineItem/UnblendedRate"),
        ("v1", "pricing/publicOnDemandRate"),
        ("v1", "reservation/NumberOfReservations"),
        ("v1", "reservation/TotalReservedUnits"),
        ("v1", "reservation/UnitsPerReservation"),
        ("v1", "bill/PayerAccountId"),
        ("v1", "lineItem/UsageAccountId"),
        ("v1", "reservation/StartTime"),
        ("v2", "line_item_blended_rate"),
        ("v2", "reservation_number_of_reservations"),
        ("focus", "BillingAccountId"),
    ],
)
def test_rates_counters_and_account_ids_are_text(shape, name) -> None:
    assert type_of(name, announced="OptionalBigDecimal", shape=shape) == ColumnType.TEXT
    assert type_of(name, "DOUBLE", shape=shape, file_format="parquet") == ColumnType.TEXT


@pytest.mark.parametrize(
    "name", ["resourceTags/user:Cost", "costCategory/Rank", "resourceTags/aws:x"]
)
@pytest.mark.parametrize("announced", ["", "OptionalBigDecimal", "DateTime"])
@pytest.mark.parametrize("physical", ["VARCHAR", "DOUBLE"])
def test_tags_are_text_whatever_is_announced(name, announced, physical) -> None:
    assert type_of(name, physical, announced) == ColumnType.TEXT


@pytest.mark.parametrize(
    ("shape", "name", "kind"),
    [
        ("v1", "lineItem/UsageStartDate", ColumnType.TIMESTAMP),
        ("v1", "bill/BillingPeriodEndDate", ColumnType.TIMESTAMP),
        ("v2", "line_item_usage_end_date", ColumnType.TIMESTAMP),
        ("v2", "resource_tags", ColumnType.TEXT_MAP),
        ("v2", "product", ColumnType.TEXT_MAP),
        ("v2", "discount", ColumnType.MONEY_MAP),
        ("focus", "ChargePeriodStart", ColumnType.TIMESTAMP),
        ("focus", "Tags", ColumnType.TEXT_MAP),
        ("focus", "x_Discounts", ColumnType.MONEY_MAP),
    ],
)
def test_times_and_maps_have_the_type_of_the_contract(shape, name, kind) -> None:
    assert type_of(name, shape=shape) == kind


@pytest.mark.parametrize(
    ("announced", "kind"),
    [
        ("BigDecimal", ColumnType.MONEY),
        ("OptionalBigDecimal", ColumnType.MONEY),
        ("double", ColumnType.MONEY),
        ("DateTime", ColumnType.TIMESTAMP),
        ("OptionalDateTime", ColumnType.TIMESTAMP),
        ("timestamp", ColumnType.TIMESTAMP),
        ("map<string,string>", ColumnType.TEXT_MAP),
        ("String", ColumnType.TEXT),
        ("OptionalString", ColumnType.TEXT),
        ("Interval", ColumnType.TEXT),
        ("Quaternion", ColumnType.TEXT),
        ("", ColumnType.TEXT),
    ],
)
def test_an_unknown_text_column_has_the_type_that_the_manifest_announces(announced, kind) -> None:
    assert type_of("lineItem/BrandNew", announced=announced) == kind


def test_an_unknown_parquet_column_has_the_type_that_lies_there() -> None:
    assert type_of("brand_new", "TIMESTAMP", "String", "v2", "parquet") == ColumnType.TIMESTAMP
    assert type_of("brand_new", "DECIMAL(18,2)", "", "v2", "parquet") == ColumnType.MONEY
    assert type_of("brand_new", "BIGINT", "", "v2", "parquet") == ColumnType.BIGINT
