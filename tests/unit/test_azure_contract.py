"""Azure's columns: every spelling leads to one name; a date is read as its file writes dates."""

from datetime import UTC, datetime

import duckdb
import pytest

from finops.columns import ColumnType, FileColumn, FoundCell, clean_column_name
from finops.delivery import Delivery
from finops.errors import BadDataError, ConfigError
from finops.period import BillingPeriod
from finops.vendors.azure.contract import (
    check_columns,
    describe_columns,
    read_contract,
    squashed,
)

SPELLINGS = [
    ("CostInBillingCurrency", "cost"),
    ("costInBillingCurrency", "cost"),
    ("PreTaxCost", "cost"),
    ("Cost", "cost"),
    ("BillingCurrencyCode", "billing_currency"),
    ("billingCurrency", "billing_currency"),
    ("Currency", "billing_currency"),
    ("resourceGroupName", "resource_group"),
    ("Resource Group", "resource_group"),
    ("Meter Sub-Category", "meter_subcategory"),
    ("Abonnement-GUID (SubscriptionGuid)", "subscription_id"),
    ("Kosten in Abrechnungswährung (CostInBillingCurrency)", "cost"),
    ("UsageDateTime", "charge_date"),
    ("InstanceId", "resource_id"),
    ("ResourceRate", "effective_price"),
    ("benefitId", "benefit_id"),
    ("PayGPrice", "payg_price"),
    ("Consumed_Service", "consumed_service"),
]


class View:
    """A data file of which only the cells matter."""

    def __init__(self, *cells, label="ActualCost"):
        self.label, self.cells = label, cells

    def find(self, columns, patterns):
        with duckdb.connect() as db:
            return [
                next(
                    (
                        FoundCell(columns[0], cell)
                        for cell in self.cells
                        if db.execute("SELECT regexp_matches(?, ?)", [cell, f"^{each}"]).fetchall()
                        == [(True,)]
                    ),
                    None,
                )
                for each in patterns
            ]

    def place(self, cell):
        return f"a.csv, line {self.cells.index(cell.text) + 2}"


def delivery(shape="costs", file_format="csv"):
    at = datetime(2024, 2, 1, tzinfo=UTC)
    names = ("azure", "default", BillingPeriod(2024, 1), "id", "k", "e", at)
    return Delivery(*names, shape, file_format, "none", ())


def describe(*headers, view=None, file_format="csv"):
    columns = [
        FileColumn(*each) if isinstance(each, tuple) else FileColumn(each) for each in headers
    ]
    described, notices = describe_columns(
        delivery(file_format=file_format), columns, (), view or View()
    )
    assert notices == []
    return described


@pytest.mark.parametrize(("header", "name"), SPELLINGS)
def test_every_spelling_leads_to_one_name(header, name):
    assert read_contract("costs")[squashed(header)].name == name


@pytest.mark.parametrize("shape", ["costs", "focus"])
def test_no_spelling_is_there_twice(shape):
    names = [clean_column_name(each.original) for each in read_contract(shape).values()]
    assert len(names) == len(set(names))


def test_spellings_that_differ_in_case_or_language_are_one_column():
    for header in ("CostInBillingCurrency", "costInBillingCurrency", "X (CostInBillingCurrency)"):
        assert describe(header)[0].original == "CostInBillingCurrency"


def test_of_two_headers_for_one_column_the_second_keeps_its_own_name():
    described = describe("Tags", "tags")
    assert [each.original for each in described[:2]] == ["Tags", "tags"]


def test_every_row_says_which_dataset_it_is_of():
    (cost, dataset) = describe("Cost", view=View(label="AmortizedCost"))
    assert (dataset.original, dataset.constant) == ("dataset_type", "AmortizedCost")
    assert cost.constant is None


def test_types_are_those_of_the_contract():
    described = describe("Cost", "Quantity", "Tags", "Date", "SomethingNew", "UnitPrice")
    assert [each.type for each in described] == [
        ColumnType.MONEY,
        ColumnType.MONEY,
        ColumnType.TEXT,
        ColumnType.TIMESTAMP,
        ColumnType.TEXT,
        ColumnType.MONEY,
        ColumnType.TEXT,
    ]


def test_parquet_keeps_quantities_and_needs_no_reading():
    described = describe(
        ("quantity", "DOUBLE"),
        ("date", "TIMESTAMP"),
        ("costInUsd", "DOUBLE"),
        file_format="parquet",
    )
    assert [(each.type, each.reading) for each in described[:3]] == [
        (ColumnType.DOUBLE, ""),
        (ColumnType.TIMESTAMP, ""),
        (ColumnType.MONEY, ""),
    ]


def read_date(text, *cells):
    (column, _) = describe("Date", view=View(text, *cells))
    with duckdb.connect() as db:
        reading = column.reading.replace("{cell}", "t.cell")
        return db.execute(f"SELECT {reading} FROM (SELECT ? AS cell) AS t", [text]).fetchone()[0]


@pytest.mark.parametrize(
    ("text", "month", "day"),
    [
        ("09/02/2023", 9, 2),
        ("9/2/2023", 9, 2),
        ("9/2/23", 9, 2),
        ("2023-09-02", 9, 2),
        ("2023-09-02T00:00:00Z", 9, 2),
        ("2023-09-02T00:00:00.0000000+00:00", 9, 2),
        ("09/02/2023 00:00:00", 9, 2),
        ("9/2/2023 12:00:00 AM", 9, 2),
        ("09/22/2023", 9, 22),
        ("22/09/2023", 9, 22),
    ],
)
def test_dates_are_read_as_they_are_written(text, month, day):
    assert read_date(text) == datetime(2023, month, day)  # noqa: DTZ001 - UTC by contract


def test_one_day_above_12_tells_how_the_whole_file_is_written():
    assert read_date("02/09/2023", "22/09/2023") == datetime(2023, 9, 2)  # noqa: DTZ001
    assert read_date("02/09/2023", "09/22/2023") == datetime(2023, 2, 9)  # noqa: DTZ001


def test_both_orders_in_one_file_are_refused_with_both_places():
    with pytest.raises(BadDataError) as refused:
        describe("Date", view=View("22/09/2023", "09/22/2023"))

    assert refused.value.code == "mixed-dates"
    assert refused.value.where == "a.csv, line 2"
    assert "a.csv, line 3" in refused.value.what


@pytest.mark.parametrize("text", ["infinity", "20230902", "today", "13/13/2023", "99/2023"])
def test_what_is_no_date_is_refused(text):
    with pytest.raises(duckdb.Error):
        read_date(text)


def test_files_without_cost_or_currency_are_no_bill():
    for headers in (["a;b"], ["Cost"], ["BillingCurrency"]):
        with pytest.raises(BadDataError, match="without the column"):
            check_columns(delivery(), [FileColumn(each) for each in headers], "k")
    check_columns(delivery(), [FileColumn("preTaxCost"), FileColumn("currency")], "k")


def test_focus_where_none_was_expected_is_refused():
    with pytest.raises(ConfigError, match="FOCUS export"):
        check_columns(delivery(), [FileColumn("BilledCost")], "k")


def test_the_preview_of_focus_is_refused():
    columns = [FileColumn("BilledCost"), FileColumn("ChargeSubcategory")]
    with pytest.raises(ConfigError, match="preview"):
        check_columns(delivery("focus"), columns, "k")
