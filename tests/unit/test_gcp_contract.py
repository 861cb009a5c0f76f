"""Google's columns: a name counts however it is spelled; cells are read as they were written."""

import json
from datetime import UTC, datetime

import duckdb
import pytest

from finops.columns import ColumnType, FileColumn, StoredColumn, clean_column_name
from finops.delivery import Delivery
from finops.errors import BadDataError
from finops.period import BillingPeriod
from finops.vendors.gcp.contract import (
    check_columns,
    describe_columns,
    find_shape,
    read_contract,
    row_period,
    squashed,
)

BILL = ("cost", "currency", "invoice.month", "credits")
NATIVE = ("BilledCost", "BillingCurrency", "BillingPeriodStart")


def delivery(shape="usage"):
    at = datetime(2026, 9, 1, tzinfo=UTC)
    names = ("gcp", "default", BillingPeriod(2026, 8), "id", "k", "e", at)
    return Delivery(*names, shape, "csv", "none", ())


def columns(*names):
    return [FileColumn(*name) if isinstance(name, tuple) else FileColumn(name) for name in names]


def describe(*names, shape="usage"):
    return describe_columns(delivery(shape), columns(*names), (), None)


def read(column, text):
    """Read a text cell as the contract says; return what is stored."""
    ((described,), _) = describe(column)
    with duckdb.connect() as db:
        reading = described.reading.replace("{cell}", "t.cell")
        return db.execute(f"SELECT {reading} FROM (SELECT ? AS cell) AS t", [text]).fetchone()[0]


@pytest.mark.parametrize(
    ("header", "original"),
    [
        ("invoice.month", "invoice.month"),
        ("invoice_month", "invoice.month"),
        ("Invoice.Month", "invoice.month"),
        ("usage.amount_in_pricing_units", "usage.amount_in_pricing_units"),
        ("usage_amount_in_pricing_units", "usage.amount_in_pricing_units"),
        ("usage_start_time", "usage_start_time"),
        ("price.effective_price", "price.effective_price"),
        ("project.labels", "project.labels"),
        ("COST", "cost"),
    ],
)
def test_every_spelling_leads_to_one_column(header, original):
    (described, _) = describe(header)
    assert [each.original for each in described] == [original]


@pytest.mark.parametrize("shape", ["usage", "focus"])
def test_no_column_is_there_twice(shape):
    for spelled in (squashed, clean_column_name):
        names = [spelled(each.original) for each in read_contract(shape).values()]
        assert len(names) == len(set(names))


def test_of_two_headers_for_one_column_the_second_keeps_its_own_name():
    (described, _) = describe("labels", "Labels")
    assert [each.original for each in described] == ["labels", "Labels"]


def test_types_are_those_of_the_contract_in_every_format():
    for physical in ("VARCHAR", "DOUBLE", "DECIMAL(38,9)"):
        (described, _) = describe(("cost", physical), ("usage.amount", physical))
        assert [each.type for each in described] == [ColumnType.MONEY, ColumnType.DOUBLE]


def test_columns_that_nobody_described_keep_their_natural_type():
    (described, _) = describe(("some.number", "BIGINT"), ("some.list", "VARCHAR"))
    assert [(each.original, each.type, each.position) for each in described] == [
        ("some.number", ColumnType.BIGINT, None),
        ("some.list", ColumnType.TEXT, None),
    ]


def test_only_text_needs_reading():
    (described, _) = describe(("credits", "STRUCT(amount DOUBLE)[]"), ("export_time", "TIMESTAMP"))
    assert [each.reading for each in described] == ["", ""]


@pytest.mark.parametrize(
    "text",
    [
        "2026-08-01 07:00:00 UTC",
        "2026-08-01 07:00:00.000000 UTC",
        "2026-08-01 07:00:00",
        "2026-08-01T07:00:00Z",
        "2026-08-01 07:00:00+00:00",
        "2026-08-01 00:00:00-07",
    ],
)
def test_times_are_read_as_they_are_written(text):
    assert read("usage_start_time", text) == datetime(2026, 8, 1, 7)  # noqa: DTZ001 - UTC


@pytest.mark.parametrize("text", ["today", "infinity", "1785567600", "2026-08-01 07:00:00 PST"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(duckdb.Error):
        read("usage_start_time", text)


CREDITS = [
    {"name": "It's", "amount": -1.5e-07, "full_name": None, "id": 'a "b" \\ c', "type": "None"},
    {"name": "{True}", "amount": -0.30000000000000004, "full_name": "", "id": "é", "type": "x"},
]


@pytest.mark.parametrize("write", [json.dumps, repr], ids=["JSON", "Python"])
@pytest.mark.parametrize("value", [CREDITS, [], [{"a": True, "b": False}]], ids=str)
def test_lists_in_text_are_json_or_become_it(write, value):
    assert json.loads(read("credits", write(value))) == value


def test_json_keeps_its_digits():
    text = '[{"amount": -0.12345678901234567890}]'
    assert read("credits", text) == text
    assert read("credits", text.replace('"', "'")) == text


def test_an_empty_cell_is_none():
    assert read("labels", None) is None


@pytest.mark.parametrize(
    "text",
    ["{'a': Decimal('1')}", "['a'", "array([{'a': 1}], dtype=object)", "a,b", "'", "nan", "-1.5"],
)
def test_what_is_no_list_is_refused(text):
    with pytest.raises(duckdb.Error, match="Malformed JSON"):
        read("credits", text)


def test_shapes_are_told_by_their_columns():
    assert find_shape(columns(*BILL), "k") == "usage"
    assert find_shape(columns("COST", "Currency", "invoice_month"), "k") == "usage"
    assert find_shape(columns(*NATIVE), "k") == "focus"


@pytest.mark.parametrize("lacking", [*BILL[:3], *NATIVE[1:]])
def test_a_file_without_cost_currency_or_month_is_no_bill(lacking):
    bill = BILL if lacking in BILL else NATIVE
    with pytest.raises(BadDataError, match=f"without the column {lacking} "):
        find_shape(columns(*(name for name in bill if name != lacking)), "k")


@pytest.mark.parametrize(
    "credit", ["credits.amount", "c.amount", "amount", ("credits", "DOUBLE")], ids=str
)
def test_credits_that_are_no_list_beside_their_cost_are_refused(credit):
    with pytest.raises(BadDataError, match="no list"):
        check_columns(delivery(), columns(*BILL[:3], credit), "k")


def test_a_bill_without_credits_says_so():
    assert describe(*BILL)[1] == []
    assert "no credit is counted" in describe(*BILL[:3])[1][0]
    assert describe(*NATIVE, shape="focus")[1] == []


@pytest.mark.parametrize(
    ("shape", "original", "value", "month"),
    [
        ("usage", "invoice.month", "'202608'", "2026-08"),
        ("usage", "invoice.month", "202608", "2026-08"),
        ("usage", "invoice.month", "'2026-08'", "2026-08"),
        ("usage", "invoice.month", "'August'", "August"),
        ("focus", "BillingPeriodStart", "TIMESTAMP '2026-08-01 07:00:00'", "2026-08"),
        ("focus", "BillingPeriodStart", "TIMESTAMP '2026-12-01 08:00:00'", "2026-12"),
        ("focus", "BillingPeriodStart", "TIMESTAMP '2026-08-01'", "2026-08"),
    ],
)
def test_the_month_of_a_row_is_the_one_that_invoices_it(shape, original, value, month):
    stored = {original: StoredColumn(original, "c", ColumnType.TEXT)}
    with duckdb.connect() as db:
        sql = f"SELECT {row_period(shape, stored)} FROM (SELECT {value} AS c)"
        assert db.execute(sql).fetchall() == [(month,)]


@pytest.mark.parametrize("other", ["Cost", "cost.value", "currency.code", "invoice_month"])
def test_a_column_in_two_forms_is_refused(other):
    with pytest.raises(BadDataError, match="in two forms"):
        find_shape(columns(*BILL, other), "k")
