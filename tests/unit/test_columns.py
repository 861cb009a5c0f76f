"""Column names never collide or change; column types only widen."""

import hashlib
import re

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.columns import (
    LOAD_COLUMN,
    PERIOD_COLUMN,
    ColumnType,
    assign_names,
    clean_column_name,
    natural_type,
    widen,
)

# Few letters, so that clean names meet often.
crowded = st.text("aAbB:/_ -é", max_size=4)
headers = st.one_of(crowded, st.text(max_size=12), st.sampled_from(["billing/period", "/finops_x"]))
types = st.sampled_from(ColumnType)


def suffix(original):
    return hashlib.sha256(original.encode()).hexdigest()[:6]


@pytest.mark.parametrize(
    ("original", "name"),
    [
        ("identity/LineItemId", "identity_lineitemid"),
        ("resourceTags/user:Cost Center", "resourcetags_user_cost_center"),
        ("line_item_unblended_cost", "line_item_unblended_cost"),
        ("costCategory/Überblick", "costcategory__berblick"),
        ("tag/\N{KELVIN SIGN}elvin", "tag__elvin"),
        ("a\n1", "a_1"),
        ("BilledCost", "billedcost"),
    ],
)
def test_the_seeds_rule_makes_the_name(original, name) -> None:
    assert clean_column_name(original) == name


@given(st.text())
def test_a_clean_name_is_clean_and_as_long_as_its_original(original) -> None:
    name = clean_column_name(original)

    assert re.fullmatch(r"[a-z0-9_]*", name)
    assert len(name) == len(original)


@given(st.text())
def test_cleaning_twice_is_cleaning_once(original) -> None:
    name = clean_column_name(original)

    assert clean_column_name(name) == name


@given(st.sets(headers))
def test_no_two_originals_share_a_name(originals) -> None:
    names = assign_names(originals, {})

    assert names.keys() == originals
    assert len(set(names.values())) == len(originals)


@given(st.data())
def test_the_order_of_columns_decides_nothing(data) -> None:
    originals = data.draw(st.lists(headers, unique=True))
    shuffled = data.draw(st.permutations(originals))

    assert assign_names(originals, {}) == assign_names(shuffled + shuffled, {})


@given(st.sets(headers), st.sets(headers))
def test_a_name_once_given_is_kept_and_not_given_again(earlier, later) -> None:
    given_names = assign_names(earlier, {})

    names = assign_names(later, given_names)

    assert given_names.items() <= names.items()
    assert names.keys() == earlier | later
    assert len(set(names.values())) == len(names)


@given(st.sets(headers), st.sets(headers))
def test_naming_does_not_touch_what_it_is_given(earlier, later) -> None:
    given_names = assign_names(earlier, {})
    before = dict(given_names)

    assign_names(later, given_names)

    assert given_names == before


@given(st.sets(crowded, min_size=2))
def test_the_first_in_byte_order_keeps_the_plain_name(originals) -> None:
    names = assign_names(originals, {})

    for clean in {clean_column_name(original) for original in originals}:
        rivals = [each for each in originals if clean_column_name(each) == clean]
        first, *others = sorted(rivals, key=str.encode)
        assert names[first] == clean
        assert [names[other] for other in others] == [
            f"{clean}_{suffix(other)}" for other in others
        ]


def test_tags_that_differ_in_case_alone_are_both_there() -> None:
    names = assign_names(["user:name", "user:Name"], {})

    assert names == {"user:Name": "user_name", "user:name": f"user_name_{suffix('user:name')}"}


def test_a_tag_that_comes_later_does_not_take_the_name_over() -> None:
    first = assign_names(["user:name"], {})

    assert assign_names(["user:Name", "user:name"], first) == {
        "user:name": "user_name",
        "user:Name": f"user_name_{suffix('user:Name')}",
    }


def test_a_taken_suffix_grows() -> None:
    taken = f"a_{suffix('A')}"

    names = assign_names(["A"], {"a": "a", "other": taken})

    assert names["A"] == f"a_{hashlib.sha256(b'A').hexdigest()[:7]}"


@pytest.mark.parametrize(
    "original",
    [
        PERIOD_COLUMN,
        "billing/period",
        LOAD_COLUMN,
        "/finops/load_id",
        "_finops_rounded",
        "_FINOPS_anything",
        "_finops_",
    ],
)
def test_our_own_column_names_are_not_given_away(original) -> None:
    clean = clean_column_name(original)

    assert assign_names([original], {}) == {original: f"{clean}_{suffix(original)}"}


@given(types, types)
def test_widening_is_commutative(one, other) -> None:
    assert widen(one, other) == widen(other, one)


@given(types, types, types)
def test_widening_is_associative(one, other, third) -> None:
    assert widen(widen(one, other), third) == widen(one, widen(other, third))


@given(types)
def test_widening_is_idempotent(one) -> None:
    assert widen(one, one) == one


@given(types, types)
def test_a_wider_type_stays_the_wider_one(one, other) -> None:
    wide = widen(one, other)

    assert widen(wide, one) == widen(wide, other) == wide


@given(types)
def test_text_holds_everything(one) -> None:
    assert widen(one, ColumnType.TEXT) == ColumnType.TEXT


@pytest.mark.parametrize(
    ("one", "other", "wide"),
    [
        (ColumnType.DOUBLE, ColumnType.MONEY, ColumnType.MONEY),
        (ColumnType.BIGINT, ColumnType.MONEY, ColumnType.MONEY),
        (ColumnType.DATE, ColumnType.TIMESTAMP, ColumnType.TIMESTAMP),
        (ColumnType.TEXT_MAP, ColumnType.MONEY_MAP, ColumnType.TEXT_MAP),
        (ColumnType.BOOLEAN, ColumnType.BIGINT, ColumnType.TEXT),
        (ColumnType.TIMESTAMP, ColumnType.MONEY, ColumnType.TEXT),
        (ColumnType.MONEY_MAP, ColumnType.MONEY, ColumnType.TEXT),
    ],
)
def test_the_wider_of_two_types(one, other, wide) -> None:
    assert widen(one, other) == wide


@pytest.mark.parametrize("number", [0, 10**14 - 1, -(2**53) - 1, 2**53 + 1])
def test_whole_numbers_survive_beside_fractions(number) -> None:
    wide = widen(ColumnType.BIGINT, ColumnType.DOUBLE)
    if wide == ColumnType.MONEY and abs(number) >= 10**14:
        return  # refused with file and line, which is no loss

    with duckdb.connect() as db:
        sql = f"SELECT CAST(CAST(?::BIGINT AS {wide}) AS HUGEINT)"
        ((back,),) = db.execute(sql, [number]).fetchall()

    assert back == number


@pytest.mark.parametrize(
    ("physical", "stored"),
    [
        ("VARCHAR", ColumnType.TEXT),
        ("BLOB", ColumnType.TEXT),
        ("HUGEINT", ColumnType.TEXT),
        ("UBIGINT", ColumnType.TEXT),
        ("UINTEGER", ColumnType.BIGINT),
        ("BIGINT", ColumnType.BIGINT),
        ("FLOAT", ColumnType.DOUBLE),
        ("DOUBLE", ColumnType.DOUBLE),
        ("DECIMAL(18,9)", ColumnType.MONEY),
        ("BOOLEAN", ColumnType.BOOLEAN),
        ("DATE", ColumnType.DATE),
        ("TIMESTAMP", ColumnType.TIMESTAMP),
        ("TIMESTAMP WITH TIME ZONE", ColumnType.TIMESTAMP),
        ("TIMESTAMP_NS", ColumnType.TIMESTAMP),
        ("MAP(VARCHAR, VARCHAR)", ColumnType.TEXT_MAP),
        ("MAP(VARCHAR, DOUBLE)", ColumnType.MONEY_MAP),
        ("MAP(VARCHAR, DECIMAL(18,9))", ColumnType.MONEY_MAP),
        ("STRUCT(a VARCHAR)[]", ColumnType.TEXT),
    ],
)
def test_a_parquet_column_that_nobody_described_has_a_type(physical, stored) -> None:
    assert natural_type(physical) == stored
