"""The servers that the tests start do what publishing builds on, and end with the tests."""

import os
import subprocess
import sys
import time
import uuid
from contextlib import nullcontext
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest
from adbc_driver_postgresql import dbapi
from google.api_core.exceptions import BadRequest, Conflict
from google.cloud.bigquery import (
    LoadJobConfig,
    QueryJobConfig,
    SchemaField,
    Table,
    TimePartitioning,
)

from tests.servers.process import LEASH

MONEY = pa.decimal128(38, 24)
COSTS = [
    Decimal("0.000000000000000000000001"),
    Decimal("-99999999999999.999999999999999999999999"),
    Decimal("1234.5"),
    None,
]
PERIODS = ["2024-01", "2024-02"]
SCHEMA = [SchemaField("period", "STRING"), SchemaField("cost", "BIGNUMERIC")]
JANUARY = "SELECT '2024-01' AS period, 1 :: DECIMAL(38, 24) AS cost"
FEBRUARY = "SELECT '2024-02' AS period, 2 :: DECIMAL(38, 24) AS cost"
ROWS = "SELECT period, cost FROM {} ORDER BY period"
DAYS = {"DATE": "day :: DATE", "TIMESTAMP": "timezone('UTC', day :: TIMESTAMP)"}
OLD_DAYS = [("2024-01", "old"), ("2024-01", "old"), ("2024-02", "old")]
TAGS = "SELECT format_date('%Y-%m', date(day)), tag FROM days ORDER BY day"

STARTER = """
import subprocess, sys, time
leash, folder = sys.argv[1:]
serve = "echo $$ > starting; mv starting pid; exec sleep 600"
command = [sys.executable, leash, folder, "", "sh", "-c", serve]
with subprocess.Popen(command, stdin=subprocess.PIPE):
    time.sleep(600)
"""


def charges(period, costs):
    return pa.table({"period": [period] * len(costs), "cost": pa.array(costs, MONEY)})


def ingest(connection, table, rows, mode="append"):
    with connection.cursor() as cursor:
        return cursor.adbc_ingest(table, rows, mode=mode)


def execute(connection, sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return answer


@pytest.fixture
def connection(postgres_database):
    """A connection whose database has one charge of each period."""
    with dbapi.connect(postgres_database.uri) as connection:
        rows = pa.concat_tables(charges(period, [Decimal(1)]) for period in PERIODS)
        ingest(connection, "charges", rows, "create")
        connection.commit()
        yield connection


def test_postgres_keeps_every_decimal(postgres_database):
    with dbapi.connect(postgres_database.uri) as connection:
        ingest(connection, "charges", charges("2024-01", COSTS), "create")
        connection.commit()

    found = postgres_database.rows("SELECT cost::text FROM charges")

    # 1234.5 is sent as 1234.5000: equal, and PostgreSQL shows the digits that it got.
    assert [cost and Decimal(cost) for (cost,) in found] == COSTS
    assert postgres_database.rows("SELECT pg_typeof(cost)::text FROM charges")[0] == ("numeric",)


def test_postgres_rolls_an_appended_period_back(postgres_database, connection):
    execute(connection, "DELETE FROM charges WHERE period = '2024-01'")
    ingest(connection, "charges", charges("2024-01", COSTS))
    connection.rollback()

    assert postgres_database.rows(ROWS.format("charges")) == [("2024-01", "1"), ("2024-02", "1")]


@pytest.fixture
def partitioned(connection):
    """The same charges in a table that has a partition for each period: ``p0``, ``p1``."""
    execute(connection, "ALTER TABLE charges RENAME TO all_charges")
    columns = "period text, cost numeric"
    execute(connection, f"CREATE TABLE charges ({columns}) PARTITION BY LIST (period)")
    for number, period in enumerate(PERIODS):
        values = f"FOR VALUES IN ('{period}')"
        execute(connection, f"CREATE TABLE p{number} PARTITION OF charges {values}")
    execute(connection, "INSERT INTO charges SELECT * FROM all_charges")
    connection.commit()


@pytest.mark.usefixtures("partitioned")
def test_postgres_puts_appended_rows_into_their_partition(postgres_database, connection):
    ingest(connection, "charges", charges("2024-02", [Decimal(7)]))
    connection.commit()

    assert postgres_database.rows(ROWS.format("p0")) == [("2024-01", "1")]
    assert postgres_database.rows(ROWS.format("p1")) == [("2024-02", "1"), ("2024-02", "7")]


@pytest.mark.usefixtures("partitioned")
@pytest.mark.parametrize(("end", "cost"), [("commit", "7"), ("rollback", "1")])
def test_postgres_exchanges_a_partition_in_one_transaction(
    postgres_database, connection, end, cost
):
    ingest(connection, "next", charges("2024-01", [Decimal(7)]), "create")
    execute(connection, "ALTER TABLE charges DETACH PARTITION p0")
    execute(connection, "ALTER TABLE charges ATTACH PARTITION next FOR VALUES IN ('2024-01')")
    getattr(connection, end)()

    assert postgres_database.rows(ROWS.format("charges")) == [("2024-01", cost), ("2024-02", "1")]


def test_postgres_is_reached_from_this_machine_alone(postgres_database):
    assert postgres_database.rows("SELECT current_setting('listen_addresses')") == [("127.0.0.1",)]


@pytest.fixture
def load(bigquery_client, bigquery_dataset, tmp_path):
    """Return what loads Parquet rows of a query into a table of the dataset, and waits."""

    def send(rows, table="charges", mode="WRITE_TRUNCATE", job_id=None, **settings):
        file = tmp_path / "rows.parquet"
        duckdb.sql(rows).write_parquet(str(file))
        job = LoadJobConfig(source_format="PARQUET", write_disposition=mode, **settings)
        with file.open("rb") as source:
            return bigquery_client.load_table_from_file(
                source, f"{bigquery_dataset}.{table}", job_id=job_id, job_config=job
            ).result()

    return send


@pytest.fixture
def query(bigquery_client, bigquery_dataset):
    """Return what runs SQL in the dataset and answers with its rows."""
    dataset = f"{bigquery_client.project}.{bigquery_dataset}"
    settings = QueryJobConfig(default_dataset=dataset)

    def ask(sql):
        return [row.values() for row in bigquery_client.query_and_wait(sql, job_config=settings)]

    return ask


def test_bigquery_keeps_24_decimals(load, query):
    costs = ", ".join(f"({cost or 'NULL'} :: DECIMAL(38, 24))" for cost in COSTS)
    load(f"SELECT cost FROM (VALUES {costs}) AS t(cost)", schema=SCHEMA[1:])

    assert [cost for (cost,) in query("SELECT cost FROM charges")] == COSTS
    (total,) = query("SELECT sum(cost) FROM charges")
    assert total == (Decimal("-99999999998765.499999999999999999999998"),)


def test_bigquery_replaces_a_table(load, query):
    load(f"{JANUARY} FROM range(3)", schema=SCHEMA)
    load(FEBRUARY, schema=SCHEMA)

    assert query(ROWS.format("charges")) == [("2024-02", Decimal(2))]


def test_bigquery_runs_a_job_once_whoever_sends_it_again(bigquery_client, load, query):
    job_id = f"finops-{uuid.uuid4().hex}"
    load(JANUARY, schema=SCHEMA, job_id=job_id)

    with pytest.raises(Conflict):
        load(FEBRUARY, schema=SCHEMA, job_id=job_id)

    job = bigquery_client.get_job(job_id)
    assert (job.state, job.error_result, job.output_rows) == ("DONE", None, 1)
    assert query(ROWS.format("charges")) == [("2024-01", Decimal(1))]


def test_bigquery_keeps_the_table_and_the_id_of_a_job_that_failed(bigquery_client, load, query):
    job_id = f"finops-{uuid.uuid4().hex}"
    load(JANUARY, schema=SCHEMA)

    with pytest.raises(BadRequest):
        load("SELECT 'no money' AS cost", schema=SCHEMA, job_id=job_id)

    assert bigquery_client.get_job(job_id).error_result["reason"] == "invalid"
    assert query(ROWS.format("charges")) == [("2024-01", Decimal(1))]


def test_bigquery_adds_a_column_when_asked(load, query):
    load(JANUARY, schema=SCHEMA)
    more = {"mode": "WRITE_APPEND", "schema": [*SCHEMA, SchemaField("tag", "STRING")]}

    with pytest.raises(BadRequest, match="Cannot add fields"):
        load(f"{FEBRUARY}, 'x' AS tag", **more)
    load(f"{FEBRUARY}, 'x' AS tag", schema_update_options=["ALLOW_FIELD_ADDITION"], **more)

    assert query("SELECT period, tag FROM charges ORDER BY period") == [
        ("2024-01", None),
        ("2024-02", "x"),
    ]


@pytest.mark.parametrize(("last", "cost"), [("SELECT 1", 7), ("SELECT 1 / 0", 1)])
def test_bigquery_replaces_a_period_in_one_transaction_or_not_at_all(load, query, last, cost):
    load(f"{JANUARY} UNION ALL {FEBRUARY}", schema=SCHEMA)
    replace = (
        "DELETE FROM charges WHERE period = '2024-01'; INSERT INTO charges VALUES ('2024-01', 7)"
    )

    with nullcontext() if cost == 7 else pytest.raises(BadRequest):
        query(f"BEGIN TRANSACTION; {replace}; {last}; COMMIT TRANSACTION")

    assert query(ROWS.format("charges")) == [("2024-01", Decimal(cost)), ("2024-02", Decimal(2))]


def test_bigquery_describes_the_columns_of_a_table_that_is_replaced(
    load, bigquery_client, bigquery_dataset
):
    for description in ["old", "new"]:
        cost = SchemaField("cost", "BIGNUMERIC", description=description)
        load(JANUARY, schema=[SCHEMA[0], cost])

    fields = bigquery_client.get_table(f"{bigquery_dataset}.charges").schema

    assert [field.description for field in fields] == [None, "new"]


def test_bigquery_takes_no_json_from_parquet(load):
    with pytest.raises(BadRequest, match="Unsupported field type: JSON"):
        load("SELECT '{}' AS tags", schema=[SchemaField("tags", "JSON")])


@pytest.fixture(params=DAYS)
def load_month(request, bigquery_client, bigquery_dataset, load):
    """Return what loads rows into a month of ``days``, which has rows of two months.

    The rows have a text ``day``, and ``tag`` or what ``more`` says of it and other columns.
    """
    schema = [SchemaField("day", request.param), SchemaField("tag", "STRING")]
    table = Table(f"{bigquery_client.project}.{bigquery_dataset}.days", schema)
    table.time_partitioning = TimePartitioning("MONTH", field="day")
    table.clustering_fields = ["tag"]
    bigquery_client.create_table(table)

    def send(month, rows, more=(), **settings):
        typed = f"SELECT * REPLACE ({DAYS[request.param]} AS day) FROM ({rows})"
        fields = {field.name: field for field in [*schema, *more]}
        load(typed, f"days${month}", schema=[*fields.values()], **settings)

    send("202401", "SELECT '2024-01-31' AS day, 'old' AS tag FROM range(2)")
    send("202402", "SELECT '2024-02-01' AS day, 'old' AS tag")
    return send


def test_bigquery_replaces_a_month(load_month, query, bigquery_client, bigquery_dataset):
    load_month("202401", "SELECT '2024-01-01' AS day, 'new' AS tag")

    assert query(TAGS) == [("2024-01", "new"), ("2024-02", "old")]
    assert [table.table_id for table in bigquery_client.list_tables(bigquery_dataset)] == ["days"]


def test_bigquery_empties_a_month(load_month, query):
    load_month("202401", "SELECT '2024-01-01' AS day, 'new' AS tag LIMIT 0")

    assert query(TAGS) == [("2024-02", "old")]


def test_bigquery_appends_to_a_month(load_month, query):
    load_month("202402", "SELECT '2024-02-29' AS day, 'new' AS tag", mode="WRITE_APPEND")

    assert query(TAGS) == [*OLD_DAYS, ("2024-02", "new")]


def test_bigquery_adds_a_column_with_a_month_when_asked(load_month, query):
    rows = "SELECT '2024-01-01' AS day, 'new' AS tag, 7 AS number"
    more = [SchemaField("number", "INT64")]

    with pytest.raises(BadRequest, match="Cannot add fields"):
        load_month("202401", rows, more)
    assert query(TAGS) == OLD_DAYS
    load_month("202401", rows, more, schema_update_options=["ALLOW_FIELD_ADDITION"])

    assert query("SELECT tag, number FROM days ORDER BY day") == [("new", 7), ("old", None)]


@pytest.mark.parametrize("day", ["'2024-02-01'", "NULL"])
def test_bigquery_refuses_a_row_of_another_month(load_month, query, day):
    rows = f"SELECT unnest(['2024-01-01', {day}]) AS day, 'new' AS tag, 7 AS number"
    more = [SchemaField("number", "INT64")]

    with pytest.raises(BadRequest, match="Some rows belong to different partitions"):
        load_month("202401", rows, more, schema_update_options=["ALLOW_FIELD_ADDITION"])

    assert query("SELECT * EXCEPT (day) FROM days") == [("old",)] * 3


@pytest.mark.parametrize("mode", ["WRITE_TRUNCATE", "WRITE_APPEND"])
def test_bigquery_refuses_another_type_of_a_column(load_month, query, mode):
    rows, more = "SELECT '2024-01-01' AS day, 7 AS tag", [SchemaField("tag", "INT64")]

    with pytest.raises(BadRequest, match="tag has changed type from STRING to INTEGER"):
        load_month("202401", rows, more, mode=mode)

    assert query(TAGS) == OLD_DAYS


@pytest.mark.parametrize("table", ["days$2024", "days$20240101", "charges$202401"])
@pytest.mark.usefixtures("load_month")
def test_bigquery_refuses_what_is_no_month_of_a_table(load, query, table):
    load(JANUARY, schema=SCHEMA)

    with pytest.raises(BadRequest, match="No partition of a month"):
        load("SELECT '2024-01-01' :: DATE AS day", table)

    assert (query(TAGS), query(ROWS.format("charges"))) == (OLD_DAYS, [("2024-01", Decimal(1))])


def test_a_server_ends_with_a_starter_that_is_killed(tmp_path):
    folder = tmp_path / "server"
    folder.mkdir()
    with subprocess.Popen([sys.executable, "-c", STARTER, LEASH, folder]) as starter:
        (pid,) = wait_for(lambda: list(folder.glob("pid")))
        server = int(pid.read_text())
        starter.kill()

    wait_for(lambda: not folder.exists())
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)
