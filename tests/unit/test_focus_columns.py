"""The columns of FOCUS, and the views that show a version's."""

import re

import duckdb
import pytest

from finops.columns import ColumnType, StoredColumn
from finops.focus.charges import prepare_focus
from finops.focus.columns import OWN_COLUMNS, VERSIONS, focus_columns
from finops.focus.native import focus_version
from finops.focus.versions import meanings, view_of

COUNTS = {"1.0": 43, "1.2": 57, "1.3": 65, "1.4": 65}
GONE = {"ProviderName", "PublisherName"}


@pytest.fixture(scope="module")
def db():
    with duckdb.connect() as db:
        db.execute("CREATE SCHEMA finops")
        db.execute("CREATE SCHEMA focus")
        db.execute("CREATE MACRO finops.money(t) AS CAST(t AS DECIMAL(38, 24))")
        db.execute("CREATE MACRO finops.money_of_double(d) AS CAST(d AS DECIMAL(38, 24))")
        prepare_focus(db)
        yield db


@pytest.mark.parametrize("version", VERSIONS)
def test_a_view_has_exactly_the_columns_of_its_version(db, version):
    found = [
        (name, kind) for name, kind, *_ in db.execute(f"DESCRIBE {view_of(version)}").fetchall()
    ]

    assert found == [(column.name, column.type) for column in focus_columns(version)]
    assert len(found) == COUNTS[version]


def test_versions_add_columns_and_the_last_takes_two_away():
    names = {version: {name for name, _ in meanings(version)} for version in VERSIONS}

    assert names["1.0"] < names["1.2"] < names["1.3"]
    assert names["1.3"] - names["1.4"] == GONE
    assert not any(name.startswith("x_") for version in VERSIONS for name in names[version])


def test_the_table_has_every_column_of_every_version_and_ours(db):
    found = {name for name, *_ in db.execute("DESCRIBE focus.cost_and_usage").fetchall()}

    assert found == {column.name for column in focus_columns()} | set(OWN_COLUMNS)
    assert len(focus_columns()) == 67


def test_preparing_again_changes_nothing(db):
    look = "SELECT table_name, column_name, data_type FROM duckdb_columns() ORDER BY ALL"
    before = db.execute(look).fetchall()
    prepare_focus(db)

    assert db.execute(look).fetchall() == before


def test_the_last_version_prices_only_what_has_a_price(db):
    db.execute("BEGIN")
    db.execute(
        "INSERT INTO focus.cost_and_usage (x_SourceRowId, ChargeCategory, BilledCost,"
        " EffectiveCost, SkuPriceId, PricingQuantity, ListUnitPrice, ConsumedUnit,"
        " BillingCurrency) VALUES"
        " ('priced', 'Usage', 1, 2, 'P', 3, 4, 'Hours', 'USD'),"
        " ('tax', 'Tax', 5, 6, NULL, 7, 8, 'Hours', 'EUR')"
    )
    rows = db.execute(
        "SELECT EffectiveCost, PricingQuantity, ListUnitPrice, ConsumedUnit, PricingCurrency,"
        " PricingCurrencyEffectiveCost FROM focus.v1_4 ORDER BY BilledCost"
    ).fetchall()
    db.execute("ROLLBACK")

    assert rows == [(2, 3.0, 4, "Hours", "USD", 2), (5, None, None, None, "EUR", 5)]


@pytest.mark.parametrize(
    ("marks", "version"),
    [
        ("BilledCost ChargeClass", "1.0"),
        ("BilledCost SkuMeter", "1.1"),
        ("BilledCost SkuMeter InvoiceId", "1.2"),
        ("BilledCost InvoiceId ServiceProviderName", "1.3"),
        ("BilledCost ServiceProviderName InvoiceDetailId", "1.4"),
    ],
)
def test_a_file_tells_its_version_by_its_columns(marks, version):
    columns = {name: StoredColumn(name, name, ColumnType.TEXT) for name in marks.split()}

    assert focus_version(columns) == version


def test_every_column_says_what_it_may_hold():
    for column in focus_columns():
        assert re.fullmatch(r"[A-Z][A-Za-z]+", column.name)
        assert all(allowed.strip() == allowed for allowed in column.allowed)
        assert column.is_in(column.first)
