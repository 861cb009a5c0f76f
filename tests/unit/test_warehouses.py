"""Names and types of a warehouse: pure rules that hold for every kind."""

import re
from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from finops.columns import ColumnType, clean_column_name
from finops.rows import JSON, PUBLISHED_TIME, Column
from finops.warehouses import Relation, widest
from finops.warehouses.bigquery import BigQueryWarehouse
from finops.warehouses.postgres import PostgresWarehouse

KINDS = (BigQueryWarehouse, PostgresWarehouse)
TYPES = [*map(str, ColumnType), PUBLISHED_TIME, JSON]
RESERVED = ["xmin", "ctid", "_TABLE_x", "_PARTITIONTIME", "_field", "", "2nd", "x_" + "a" * 400]


def unconnected(kind):
    return kind.__new__(kind)


@pytest.mark.parametrize("kind", KINDS)
@given(names=st.sets(st.one_of(st.text(max_size=320), st.sampled_from(RESERVED)), max_size=30))
@example(names=set(RESERVED))
@example(names={"select", "Select_1", "a b", "a_b", "a-b"})
def test_every_name_becomes_one_that_the_warehouse_takes(kind, names):
    warehouse = unconnected(kind)
    unlike = {name.lower(): name for name in names}.values()

    own = [warehouse.own_name(name) for name in unlike]

    for name in own:
        assert re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name)
        assert len(name) <= warehouse.longest_name
        assert kind is BigQueryWarehouse or name not in ("xmin", "ctid", "tableoid")
        assert kind is PostgresWarehouse or not name.lower().startswith(("_table_", "_partition"))
    assert max(Counter(map(str.lower, own)).values(), default=1) == 1


@pytest.mark.parametrize("kind", KINDS)
@given(original=st.text(alphabet=st.characters(max_codepoint=0x2FF), min_size=1, max_size=60))
def test_a_name_that_can_stay_stays(kind, original):
    name = "c" + clean_column_name(original)

    assert unconnected(kind).own_name(name) == name


@pytest.mark.parametrize("kind", KINDS)
def test_focus_names_need_no_quotes(kind):
    warehouse = unconnected(kind)

    assert warehouse.own_name("BilledCost") == warehouse.spelled("BilledCost")
    assert warehouse.spelled("BilledCost").lower() == "billedcost"


@given(names=st.sets(st.from_regex("[a-z][a-z0-9_]{0,120}", fullmatch=True), max_size=20))
def test_long_table_names_stay_apart_and_leave_room_for_the_month(names):
    warehouse = unconnected(PostgresWarehouse)

    own = {warehouse.table_name(name) for name in names}

    assert len(own) == len(names)
    assert all(len(f"{name}_2024_01") <= 63 for name in own)


@given(kinds=st.lists(st.sampled_from(TYPES), min_size=1, max_size=4))
def test_the_widest_type_does_not_depend_on_the_order_of_two(kinds):
    one, other = kinds[0], kinds[-1]

    assert widest((one, other)) == widest((other, one))
    assert widest((widest((one, other)), one)) == widest((one, other))


def test_maps_are_json_where_there_are_none():
    rows = SimpleNamespace(columns=[Column("tags", ColumnType.TEXT_MAP, "tags")])

    (postgres,) = unconnected(PostgresWarehouse).columns_for(rows, {})
    (bigquery,) = unconnected(BigQueryWarehouse).columns_for(rows, {})

    assert (postgres.type, postgres.cell) == (JSON, "to_json(tags)")
    assert (bigquery.type, bigquery.cell) == (ColumnType.TEXT_MAP, "map_entries(tags)")


def test_a_column_is_published_in_the_wider_type_that_is_there():
    rows = SimpleNamespace(columns=[Column("n", ColumnType.BIGINT, "n")])

    (column,) = unconnected(PostgresWarehouse).columns_for(rows, {"n": str(ColumnType.MONEY)})

    assert column.type == ColumnType.MONEY
    assert column.cell == "CAST(n AS DECIMAL(38,24))"


def test_a_union_spells_every_column_and_keeps_the_order_of_the_view():
    parts = {
        "jan": Relation(False, {"a": "BIGINT", "b": "VARCHAR"}),
        "feb": Relation(False, {"b": "VARCHAR", "a": "DECIMAL(38,24)", "c": "DATE"}),
    }

    sql = unconnected(PostgresWarehouse).union("ds", parts, ["b", "gone"])

    assert sql == (
        'SELECT "b", "a"::numeric(38,24) AS "a", CAST(NULL AS date) AS "c" FROM "ds"."jan"\n'
        "UNION ALL\n"
        'SELECT "b", "a", "c" FROM "ds"."feb"'
    )
