"""Money is exact: what a vendor's text or double says, to the 24th decimal, half to even."""

import math
import random
from decimal import ROUND_HALF_EVEN, Context, Decimal

import duckdb
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from finops.money import money_expression, rounded_count
from finops.sql import query, run_script

MONEY = "DECIMAL(38,24)"
EXACT = Context(prec=20_000, rounding=ROUND_HALF_EVEN, Emax=999_999, Emin=-999_999)
UNIT = Decimal("1e-24")
LIMIT = Decimal("1e14")


@pytest.fixture(scope="module")
def db():
    with duckdb.connect() as connection:
        query(connection, "CREATE SCHEMA finops")
        run_script(connection, "money.sql")
        yield connection


def half_even(text):
    return Decimal(text, EXACT).quantize(UNIT, context=EXACT)


def as_money(db, values, physical="VARCHAR"):
    sql = f"SELECT {money_expression('v', physical)} FROM (SELECT unnest(?::{physical}[]) AS v)"
    return [amount for (amount,) in query(db, sql, [values])]


def as_rounded(db, values, physical="VARCHAR"):
    sql = f"SELECT {rounded_count([('v', physical)])} FROM (SELECT unnest(?::{physical}[]) AS v)"
    return [rounded for (rounded,) in query(db, sql, [values])]


@st.composite
def decimal_texts(draw):
    """Any way to write a decimal number that Python's Decimal reads too."""
    whole = draw(st.text("0123456789", max_size=16))
    part = draw(st.text("0123456789", min_size=0 if whole else 1, max_size=45))
    tie = draw(st.sampled_from(["", "", "5", "50", "500000", "4999", "50001"]))
    if tie:
        part = part[:24].ljust(24, draw(st.sampled_from("0123456789"))) + tie
    point = "." if part else draw(st.sampled_from(["", "."]))
    power = draw(st.one_of(st.just(""), st.integers(-60, 14).map(str), st.just("+3")))
    exponent = draw(st.sampled_from("eE")) + power if power else ""
    text = draw(st.sampled_from(["", "-", "+"])) + whole + point + part + exponent
    assume(abs(half_even(text)) < LIMIT)
    return text


doubles = st.floats(-1e14, 1e14, exclude_min=True, exclude_max=True)
small_doubles = st.floats(-1e5, 1e5)
mid_doubles = st.floats(1e5, 1e8)
tiny_doubles = st.floats(1e-12, 1e-7)
prices = st.integers(-(10**15), 10**15).map(lambda units: units / 10**10)


@settings(max_examples=40, deadline=None)
@given(st.lists(decimal_texts(), min_size=1, max_size=30))
@example(["0.0000000000000000000000005", "0.0000000000000000000000015", "-2.5e-24", "-3.5E-24"])
@example(["00000000000000000000000000001.50", "+.5", "5.", "1e-9999", "0e9999", "-0", "1.86E-8"])
@example(["99999999999999.999999999999999999999999", "-99999999999999.9999999999999999999999994"])
def test_text_becomes_what_it_says_rounded_half_to_even(db, texts) -> None:
    assert as_money(db, texts) == [half_even(text) for text in texts]


@settings(max_examples=40, deadline=None)
@given(st.lists(decimal_texts(), min_size=1, max_size=30))
@example(["1e-25", "1e-24", "0.0000000000000000000000010", "0e-30", "1.0000000000000000000000000"])
def test_a_cell_counts_as_rounded_exactly_when_digits_were_lost(db, texts) -> None:
    lost = [half_even(text) != Decimal(text, EXACT) for text in texts]

    assert as_rounded(db, texts) == lost


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(doubles, small_doubles, mid_doubles, prices), min_size=1, max_size=30))
@example([12345678.1, 1234567.89, 100000.1, 99999.99])
@example([0.1, 1 / 3, 5e-324, 99999.99999999999, 100000.00000000001, -0.0, 2.2250738585072014e-308])
@example([0.1 + 0.2, 1.1 * 3, 99999999999999.98, 12345.0000000001, 1e-10, 5e-25, 1.5e-24, 2.5e-24])
def test_a_double_becomes_its_shortest_text_rounded_half_to_even(db, values) -> None:
    assert as_money(db, values, "DOUBLE") == [half_even(repr(value)) for value in values]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(doubles, small_doubles, tiny_doubles), min_size=1))
@example([1.2345678901234567e-9, 9.876543210987654e-12, 1.2345678901234567e-8, 0.1])
def test_a_double_counts_as_rounded_exactly_when_digits_were_lost(db, values) -> None:
    lost = [half_even(repr(value)) != Decimal(repr(value)) for value in values]

    assert as_rounded(db, values, "DOUBLE") == lost


@pytest.mark.parametrize(
    "text",
    [
        *("1,5", "1_000", " 1", "1 ", "0x10", ".", "-", "+", "-.", ".e5", "1e", "1e-", "e5"),
        *(
            "abc",
            "nan",
            "inf",
            "-Infinity",
            "1e5.5",
            "--1",
            "1-",
            "1.2.3",
            "1\n",
            "1\0",
            "$1",
            "1d",
        ),
        *("true", "NULL", "\N{ARABIC-INDIC DIGIT ONE}"),
    ],
)
def test_text_that_is_no_number_is_refused(db, text) -> None:
    with pytest.raises(duckdb.ConversionException):
        as_money(db, [text])


@pytest.mark.parametrize(
    "text",
    [
        *("100000000000000", "-100000000000000.000", "1e14", "-1e14", "1e999", "123456789012345e0"),
        "99999999999999.9999999999999999999999999",
        "-99999999999999.9999999999999999999999995",
    ],
)
def test_text_with_fifteen_digits_before_the_point_is_refused(db, text) -> None:
    with pytest.raises(duckdb.Error):
        as_money(db, [text])


@pytest.mark.parametrize("value", [1e14, -1e14, 1e300, math.nan, math.inf, -math.inf])
def test_a_double_that_money_cannot_hold_is_refused(db, value) -> None:
    with pytest.raises(duckdb.Error):
        as_money(db, [value], "DOUBLE")


def test_an_empty_cell_is_no_money_and_not_zero(db) -> None:
    assert as_money(db, ["", None, "0"]) == [None, None, Decimal(0)]


@pytest.mark.parametrize("physical", ["TINYINT", "INTEGER", "UBIGINT", "BIGINT", "DECIMAL(18,9)"])
def test_whole_and_decimal_numbers_become_money_as_they_are(db, physical) -> None:
    assert as_money(db, [7, 0], physical) == [Decimal(7), Decimal(0)]
    assert as_rounded(db, [7, 0], physical) == [False, False]


def test_a_finer_decimal_is_rounded_half_to_even_and_counted(db) -> None:
    ties = ["0.0000000000000000000000005", "0.0000000000000000000000015", "1.5"]

    assert as_money(db, ties, "DECIMAL(38,30)") == [half_even(text) for text in ties]
    assert as_rounded(db, ties, "DECIMAL(38,30)") == [True, True, False]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(-(10**36), 10**36), min_size=1, max_size=40),
    st.randoms(use_true_random=False),
)
def test_a_sum_does_not_depend_on_the_order_of_rows(db, units, shuffler) -> None:
    texts = [f"{unit}e-24" for unit in units]
    shuffled = list(texts)
    shuffler.shuffle(shuffled)

    sums = [
        query(db, "SELECT sum(finops.money(v)) FROM (SELECT unnest(?::VARCHAR[]) AS v)", [order])
        for order in (texts, shuffled, sorted(texts))
    ]

    expected = Decimal(sum(units)).scaleb(-24, context=EXACT)
    assert sums == [[(expected,)]] * 3


def test_a_hundred_thousand_cells_add_up_to_the_last_digit(db) -> None:
    chance = random.Random(7)  # noqa: S311 - an example, not a secret
    cents = [chance.randrange(-(10**14), 10**14) for _ in range(100_000)]
    texts = [f"{value}E-12" for value in cents]

    ((total,),) = query(
        db, "SELECT sum(finops.money(v)) FROM (SELECT unnest(?::VARCHAR[]) AS v)", [texts]
    )

    assert total == Decimal(sum(cents)).scaleb(-12)


def test_a_union_of_money_keeps_every_decimal(db) -> None:
    selects = " UNION ALL ".join(
        f"SELECT {money_expression(value, physical)} AS v"
        for value, physical in [
            ("'0.000000000000000000000001'", "VARCHAR"),
            ("0.1::DOUBLE", "DOUBLE"),
            ("5::BIGINT", "BIGINT"),
            ("1.25::DECIMAL(18,3)", "DECIMAL(18,3)"),
        ]
    )

    kind = query(db, f"SELECT DISTINCT typeof(v) FROM ({selects})")
    total = query(db, f"SELECT sum(v) FROM ({selects})")

    assert kind == [(MONEY,)]
    assert total == [(Decimal("6.350000000000000000000001"),)]
