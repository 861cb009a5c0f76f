"""Warehouses to publish to, as a reader sees them: by the server's own client.

A place is a dataset for line items and one for charges that only one test knows. Values come
back as the same Python values whatever the server makes of them.
"""

import contextlib
import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import ClassVar

from finops.money import EXACT
from tests.memory_warehouse import DATABASES

STRATEGIES = ("single", "separate")


@dataclass
class Place:
    """A warehouse; ``settings`` are those of its section in config.toml."""

    kind: str
    strategy: str
    settings: dict[str, str] = field(default_factory=dict)
    name: str = "there"
    sends_jobs: ClassVar[bool] = False

    def __post_init__(self):
        self.billing, self.focus = (f"{each}_{uuid.uuid4().hex[:8]}" for each in ("bill", "focus"))

    def section(self, **changed):
        own = {
            "type": self.kind,
            "dataset": self.billing,
            "focus_dataset": self.focus,
            "table_strategy": self.strategy,
        }
        settings = own | self.settings | changed
        lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
        return "\n".join([f"[warehouse.{self.name}]", *lines, ""])

    def rows(self, sql):
        """Run one statement; return dicts whose keys are lower case, and plain values."""
        return [
            {name.lower(): plain(value) for name, value in row.items()} for row in self.ask(sql)
        ]

    def ledger(self, dataset=None):
        return self.rows(f"SELECT * FROM {dataset or self.billing}.finops_loads")

    def jobs(self):
        """Return the ids of the load jobs that were sent, where loading takes jobs."""
        return []

    def datasets(self):
        """Return which of the two datasets are there."""
        names = self.ask("SELECT schema_name AS name FROM INFORMATION_SCHEMA.SCHEMATA")
        return {row["name"] for row in names} & {self.billing, self.focus}


class PostgresPlace(Place):
    def ask(self, sql):
        from adbc_driver_postgresql import dbapi

        with (
            dbapi.connect(self.settings["uri"], autocommit=True) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(sql)
            if not cursor.description:
                return []
            table = cursor.fetch_arrow_table()
        numbers = [each.name for each in table.schema if "numeric" in str(each.type)]
        rows = table.to_pylist()
        for row in rows:
            row |= {name: row[name] and Decimal(row[name]) for name in numbers}
        return rows


class BigQueryPlace(Place):
    client = None
    sends_jobs = True

    def ask(self, sql):
        return [dict(row.items()) for row in self.client.query_and_wait(sql)]

    def datasets(self):
        names = {dataset.dataset_id for dataset in self.client.list_datasets()}
        return names & {self.billing, self.focus}

    def jobs(self):
        return sorted(
            job.job_id
            for job in self.client.list_jobs()
            if job.job_type == "load" and job.destination.dataset_id in (self.billing, self.focus)
        )


class MemoryPlace(Place):
    def ask(self, sql):
        with DATABASES[self.settings["uri"]].cursor() as cursor:
            cursor.execute("SET TimeZone = 'UTC'")
            return cursor.sql(sql).to_arrow_table().to_pylist()


@contextlib.contextmanager
def postgres(request, strategy):
    with request.getfixturevalue("postgres").database() as database:
        yield PostgresPlace("postgres", strategy, {"uri": database.uri})


@contextlib.contextmanager
def bigquery(request, strategy):
    server = request.getfixturevalue("bigquery")
    settings = {"endpoint": server.endpoint, "project_id": server.project}
    place = BigQueryPlace("bigquery", strategy, settings)
    with contextlib.closing(server.client()) as place.client:
        yield place
        for dataset in (place.billing, place.focus):
            place.client.delete_dataset(dataset, delete_contents=True, not_found_ok=True)


@contextlib.contextmanager
def memory(_request, strategy):
    place = MemoryPlace("memory", strategy)
    place.settings["uri"] = f"postgresql:///{place.billing}"
    yield place
    DATABASES.pop(place.settings["uri"]).close()


PLACES = {"bigquery": bigquery, "memory": memory, "postgres": postgres}


def plain(value):
    """Return a value as every server and the store would; no map is an empty one."""
    if isinstance(value, Decimal):
        return f"{value.normalize(EXACT):f}"
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str) and value.startswith("{"):
        with contextlib.suppress(ValueError):
            return plain(json.loads(value, parse_float=Decimal, parse_int=Decimal))
    if isinstance(value, list):
        value = {entry["key"]: entry["value"] for entry in value}
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()} or None
    return value


def in_order(rows):
    """Return rows so that the same rows are the same list."""
    return sorted(rows, key=lambda row: [(name, str(row[name])) for name in sorted(row)])
