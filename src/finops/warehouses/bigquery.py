"""BigQuery, by load jobs: one job per period, which replaces a table or a partition at once.

A job's id is made of what it replaces and how often that was replaced before. So a job is never
sent twice: whoever sends it again, after a lost answer or a crash, is told that it is there, and
asks what became of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict
from functools import partial
from hashlib import sha256
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from finops.columns import ColumnType
from finops.config import WarehouseConfig
from finops.errors import (
    ConfigError,
    FinopsError,
    LocalError,
    RefusedError,
    UnavailableError,
)
from finops.faults import crash_point
from finops.period import BillingPeriod
from finops.rows import JSON, PUBLISHED_TIME, Column, Rows
from finops.storage.bigquery import connect as connect_client
from finops.storage.bigquery import explained, patience
from finops.warehouses import (
    LEDGER,
    LEDGER_COLUMNS,
    Finding,
    Publication,
    RemakeViews,
    Table,
    Warehouse,
    widened_columns,
)

_PROBE = "finops_check"
_CONTENT = "finops-content"
_MAKER = {"made-by": "open-finops"}
_CLUSTERING_LIMIT = 4
_TEXT_ENTRIES = "ARRAY<STRUCT<key STRING, value STRING>>"
_MONEY_ENTRIES = "ARRAY<STRUCT<key STRING, value BIGNUMERIC>>"
# What the store makes of a value as text: how to ask for it, what to replace, and by what.
_NO_ZEROS = (r"([.][0-9]*[1-9])0+$|[.]0+$", r"\1")
_TEXTS = {
    ColumnType.MONEY: ("CAST({} AS STRING)", *_NO_ZEROS),
    PUBLISHED_TIME: ("CAST(DATETIME({}) AS STRING)", *_NO_ZEROS),
    ColumnType.DOUBLE: ("CAST({} AS STRING)", "^(-?[0-9]+)$", r"\1.0"),
}
# What the API calls the types that SQL has other names for.
_SQL_NAMES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
_RESERVED = (
    "_table_|_file_|_partition|_row_timestamp|__root__|_colidentifier|_change_sequence_number"
    "|_change_type|_change_timestamp"
)


class BigQueryWarehouse(Warehouse):
    """A client of one project. Money is BIGNUMERIC, a map a repeated record of key and value.

    JSON is text, which BigQuery's JSON functions read: it loads no JSON from Parquet.
    """

    types: ClassVar[Mapping[str, str]] = {
        ColumnType.TEXT: "STRING",
        ColumnType.BIGINT: "INT64",
        ColumnType.DOUBLE: "FLOAT64",
        ColumnType.BOOLEAN: "BOOL",
        ColumnType.DATE: "DATE",
        PUBLISHED_TIME: "TIMESTAMP",
        ColumnType.MONEY: "BIGNUMERIC",
        ColumnType.TEXT_MAP: _TEXT_ENTRIES,
        ColumnType.MONEY_MAP: _MONEY_ENTRIES,
        JSON: "STRING",
    }
    column_names = re.compile(f"(?!({_RESERVED}))[a-z_][a-z0-9_]*", re.IGNORECASE)
    longest_name = 300

    def __init__(self, config: WarehouseConfig, scratch: Path) -> None:
        """Make a client with application default credentials; over plain http with none."""
        super().__init__(config, scratch)
        _require_client()
        self._labels = _read_labels(config)
        self._locations: dict[str, str | None] = {}
        with _explained():
            self._client = connect_client(config.project_id, config.endpoint, config.location)

    def close(self) -> None:
        """Close the client; a job that was sent goes on."""
        self._client.close()

    def identifier(self, *names: str) -> str:
        """Quote a column, or a table with its dataset, which is the project's."""
        project = (self._client.project,) if len(names) > 1 else ()
        return f"`{'.'.join((*project, *names))}`"

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one statement and wait for it."""
        with _explained():
            rows = self._client.query_and_wait(sql, retry=patience())
            return [tuple(row.values()) for row in rows]

    def described(self, dataset: str) -> list[tuple[str, bool, str, str]]:
        """Return the columns of all tables and views of a dataset."""
        if not self._has_dataset(dataset):
            return []
        schema = f"`{self._client.project}.{dataset}`.INFORMATION_SCHEMA"
        return self.query(
            "SELECT table_name, table_type = 'VIEW', column_name, data_type"
            f" FROM {schema}.COLUMNS JOIN {schema}.TABLES USING (table_name)"
            " ORDER BY table_name, ordinal_position"
        )

    def ledger(self, dataset: str) -> dict[tuple[str, str], Publication]:
        """Return the ledger; empty where none was made yet."""
        return super().ledger(dataset) if self._find(dataset, LEDGER) else {}

    def replace(
        self,
        table: Table,
        period: BillingPeriod,
        rows: Rows,
        entry: Publication,
        remake_views: RemakeViews,
    ) -> None:
        """Send the period as one load job, compare, then append to the ledger.

        The job replaces a table, or one partition, at once. After a crash in between, the next
        run finds the job, compares, and only writes the ledger.
        """
        self._make_dataset(table.dataset)
        ledger = self._make_ledger(table.dataset)
        found = self._find(table.dataset, table.holding(period))
        present = self._columns_of(found) if found else {}
        columns = self.columns_for(rows, present)
        target = found or self._create_table(table, table.holding(period), columns)
        widened = {each.name: each.type for each in widened_columns(present, columns)}
        if widened and table.partitioned:
            self._widen(target, present, widened)
            remake_views()
        rows = rows.with_columns((*columns, *_gone(present, columns)))
        stem = self._job_stem(table, entry, ledger)
        with TemporaryDirectory(dir=self.scratch) as folder:
            file = Path(folder, "rows.parquet")
            rows.write_parquet(file)
            send = partial(self._load, table, period, rows.columns, file)
            accept = partial(self.compare, table, period, rows)
            self._run_once(table.dataset, stem, entry.content, send, accept)
        if found and (widened or len(rows.columns) > len(present)):
            self._describe(target, columns)
        crash_point("rows-compared")
        self._record(table.dataset, stem, entry)

    def create_view(self, dataset: str, name: str, sql: str) -> None:
        """Create or replace a view, unless it says the same already."""
        found = self._find(dataset, name)
        if found and found.view_query == sql:
            return
        labels = ", ".join(f"('{key}', '{value}')" for key, value in self._labels.items())
        view = f"{self.identifier(dataset, name)} OPTIONS (labels = [{labels}])"
        self.query(f"CREATE OR REPLACE VIEW {view} AS {sql}")

    def check(self) -> Iterator[Finding]:
        """Run a job, and in each dataset write a table that is deleted again."""
        self.query("SELECT 1")
        yield Finding("connection", f"jobs run in the project {self._client.project}")
        for name in dict.fromkeys((self.config.dataset, self.config.focus_dataset)):
            made = self._make_dataset(name)
            with _explained():
                try:
                    config = _load_config([_field(_PROBE, "BIGNUMERIC")], self._labels)
                    self._load_rows(name, _PROBE, [{_PROBE: "1"}], config).result()
                    self._client.delete_table(f"{self._client.project}.{name}.{_PROBE}")
                finally:
                    if made:
                        self._client.delete_dataset(name, delete_contents=True)
            self._check_location(name)
            yield Finding(
                f"dataset {name}",
                f"{f'in {place}: ' if (place := self._location(name)) else ''}"
                f"a table was written and removed{'; the dataset can be made' if made else ''}",
            )

    def _check_location(self, dataset: str) -> None:
        lies, wanted = self._locations.get(dataset), self.config.location
        if lies and wanted and lies.lower() != wanted.lower():
            raise ConfigError(
                f"the dataset {dataset} lies in {lies}, and location is {wanted}",
                where=f"[{self.config.section}] location",
                do=f"set location = {lies!r}, or another dataset",
            )

    def _find(self, dataset: str, name: str) -> Any:
        """Return a table or view of ours; None where there is none of that name."""
        from google.api_core.exceptions import NotFound

        with suppress(NotFound), _explained(NotFound):
            found = self._client.get_table(f"{dataset}.{name}", retry=patience())
            if found.labels.get("made-by") != _MAKER["made-by"]:
                self.refuse_foreign(dataset, name)
            return found
        return None

    def _columns_of(self, table: Any) -> dict[str, str]:
        known = {own: kind for kind, own in reversed(list(self.types.items()))}
        return {each.name: known.get(_type_of(each), ColumnType.TEXT) for each in table.schema}

    def _has_dataset(self, name: str) -> bool:
        from google.api_core.exceptions import NotFound

        with suppress(NotFound), _explained(NotFound):
            self._client.get_dataset(name, retry=patience())
            return True
        return False

    def _make_dataset(self, name: str) -> bool:
        """Make a dataset where there is none; tell whether it was made."""
        from google.cloud.bigquery import Dataset

        if self._has_dataset(name):
            return False
        with _explained():
            dataset = Dataset(f"{self._client.project}.{name}")
            dataset.location = self.config.location or None
            dataset.labels = self._labels
            self._client.create_dataset(dataset, exists_ok=True)
        return True

    def _create_table(self, table: Table, name: str, columns: Sequence[Column]) -> Any:
        """Make a table: by month, clustered, labelled."""
        fields = [_field_of(column, self.types) for column in columns]
        made = self._new_table(table.dataset, name, fields)
        made.time_partitioning = self._partitioning(table)
        made.clustering_fields = self._clustering(table, columns)
        with _explained():
            return self._client.create_table(made, exists_ok=True)

    def _new_table(self, dataset: str, name: str, fields: Sequence[Any]) -> Any:
        from google.cloud.bigquery import Table as BigQueryTable

        made = BigQueryTable(f"{self._client.project}.{dataset}.{name}", schema=fields)
        made.labels = self._labels
        return made

    def _partitioning(self, table: Table) -> Any:
        from google.cloud.bigquery import TimePartitioning

        field = self.own_name(table.start_column)
        return TimePartitioning(type_="MONTH", field=field) if table.partitioned else None

    def _clustering(self, table: Table, columns: Sequence[Column]) -> list[str] | None:
        kinds = {column.name: self.types[column.type] for column in columns}
        names = [self.own_name(name) for name in table.clustering]
        allowed = [name for name in names if kinds.get(name) in ("STRING", "DATE", "TIMESTAMP")]
        return allowed[:_CLUSTERING_LIMIT] or None

    def _widen(self, target: Any, there: Mapping[str, str], wanted: Mapping[str, str]) -> None:
        """Write the whole table anew, in one job, where a type of it holds too little."""
        from google.cloud.bigquery import QueryJobConfig

        cells = ", ".join(
            f"{self.cast(f'`{name}`', kind, wanted[name])} AS `{name}`"
            if name in wanted
            else f"`{name}`"
            for name, kind in there.items()
        )
        source = self.identifier(target.dataset_id, target.table_id)
        config = QueryJobConfig(
            destination=target.reference,
            write_disposition="WRITE_TRUNCATE",
            time_partitioning=target.time_partitioning,
            clustering_fields=target.clustering_fields,
            labels=self._labels,
        )
        with _explained():
            self._client.query(f"SELECT {cells} FROM {source}", job_config=config).result()

    def cast(self, value: str, present: str, wanted: str) -> str:
        """Return SQL for a wider type; text is what the store makes of the value."""
        entries = f"FROM UNNEST({value}) AS entry"
        if wanted == ColumnType.TEXT_MAP:
            entry = "entry.key AS key, CAST(entry.value AS STRING) AS value"
            return f"ARRAY(SELECT AS STRUCT {entry} {entries})"
        if present.startswith("MAP("):
            amount = present == ColumnType.MONEY_MAP
            cell = "CAST(entry.value AS STRING)" if amount else "TO_JSON_STRING(entry.value)"
            pairs = f"ARRAY(SELECT CONCAT(TO_JSON_STRING(entry.key), ':', {cell}) {entries})"
            text = f"CONCAT('{{', ARRAY_TO_STRING({pairs}, ','), '}}')"
            return f"IF(ARRAY_LENGTH({value}) = 0, NULL, {text})"
        if wanted == ColumnType.TEXT and present in _TEXTS:
            text, pattern, instead = _TEXTS[present]
            return f"REGEXP_REPLACE({text.format(value)}, r'{pattern}', r'{instead}')"
        if present == ColumnType.DOUBLE:
            value = f"CAST({value} AS STRING)"
        return f"CAST({value} AS {self.types[wanted]})"

    def _describe(self, target: Any, columns: Sequence[Column]) -> None:
        """Write down what the columns are called at the vendor."""
        originals = {column.name: column.original for column in columns}
        with _explained():
            table = self._client.get_table(target.reference)
            table.schema = [
                _described(field, originals.get(field.name, "")) for field in table.schema
            ]
            self._client.update_table(table, ["schema"])

    def _load(  # noqa: PLR0913, PLR0917 - what a load job is made of
        self,
        table: Table,
        period: BillingPeriod,
        columns: Sequence[Column],
        file: Path,
        job_id: str,
        labels: dict[str, str],
    ) -> Any:
        config = _load_config([_field_of(column, self.types) for column in columns], labels)
        place = f"{self._client.project}.{table.dataset}.{table.holding(period)}"
        if table.partitioned:
            place += f"${period.year:04}{period.month:02}"
            config.schema_update_options = ["ALLOW_FIELD_ADDITION"]
        else:
            config.clustering_fields = self._clustering(table, columns)
        with file.open("rb") as source:
            return self._client.load_table_from_file(
                source,
                place,
                job_id=job_id,
                location=self._location(table.dataset),
                job_config=config,
            )

    def only(self, table: Table, period: BillingPeriod) -> str:
        """Return SQL that is true for the rows of a period, and reads no other partition."""
        start = f"{self.identifier(self.own_name(table.start_column))} = '{period}-01'"
        return f"{super().only(table, period)} AND {start}"

    def _job_stem(self, table: Table, entry: Publication, ledger: Any) -> str:
        """Return how the ids of jobs begin that bring this generation of a period.

        Generations count from the making of the ledger, so that is part of it: BigQuery
        remembers jobs longer than a table may live.
        """
        place = f"{self._client.project}.{table.dataset}.{table.name} since {ledger.created}"
        digest = sha256(place.encode()).hexdigest()[:12]
        return f"finops-{table.name}-{entry.billing_period}-{entry.generation}-{digest}"

    def _run_once(
        self,
        dataset: str,
        stem: str,
        content: str,
        send: Callable[[str, dict[str, str]], Any],
        accept: Callable[[], None],
    ) -> None:
        """Send a job unless it was sent before, and wait for it.

        One that is there already counts if it was to do the same, ended well and is accepted:
        an earlier run sent it and was killed. Otherwise, once it is done, the next number is
        tried.
        """
        labels = {**self._labels, _CONTENT: sha256(content.encode()).hexdigest()[:32]}
        for attempt in count():
            job_id = f"{stem}-{attempt}"
            job, sent = self._sent_or_found(job_id, dataset, partial(send, job_id, labels))
            if not _ended_well(job, sent=sent):
                continue
            crash_point("rows-sent")
            if not sent and job.labels.get(_CONTENT) != labels[_CONTENT]:
                continue
            try:
                accept()
            except RefusedError:
                if sent:
                    raise
            else:
                return

    def _sent_or_found(
        self, job_id: str, dataset: str, send: Callable[[], Any]
    ) -> tuple[Any, bool]:
        """Return a job, and whether this run sent it; after a lost answer, ask for it."""
        from google.api_core.exceptions import Conflict, NotFound

        place = self._location(dataset)
        try:
            with _explained(Conflict):
                return send(), True
        except Conflict:
            with _explained():
                return self._client.get_job(job_id, location=place), False
        except UnavailableError:
            with suppress(NotFound), _explained(NotFound):
                return self._client.get_job(job_id, location=place), True
            raise

    def _location(self, dataset: str) -> str | None:
        """Return where a dataset lies, which is where its jobs run."""
        if dataset not in self._locations:
            with _explained():
                self._locations[dataset] = self._client.get_dataset(dataset).location
        return self._locations[dataset] or self.config.location or None

    def _make_ledger(self, dataset: str) -> Any:
        """Return the table of the ledger, made where there is none."""
        made = self._new_table(dataset, LEDGER, _ledger_fields(self.types))
        with _explained():
            return self._find(dataset, LEDGER) or self._client.create_table(made, exists_ok=True)

    def _record(self, dataset: str, stem: str, entry: Publication) -> None:
        row = {**asdict(entry), "published_at": entry.published_at.isoformat()}

        def send(job_id: str, labels: dict[str, str]) -> Any:
            config = _load_config(_ledger_fields(self.types), labels)
            config.write_disposition = "WRITE_APPEND"
            return self._load_rows(dataset, LEDGER, [row], config, job_id)

        self._run_once(dataset, f"{stem}-ledger", entry.content, send, lambda: None)

    def _load_rows(
        self, dataset: str, table: str, rows: list[dict[str, Any]], config: Any, job_id: str = ""
    ) -> Any:
        """Send a few rows as a load job."""
        config.source_format = "NEWLINE_DELIMITED_JSON"
        place = f"{self._client.project}.{dataset}.{table}"
        return self._client.load_table_from_json(
            rows, place, job_id=job_id or None, location=self._location(dataset), job_config=config
        )


connect = BigQueryWarehouse


def _gone(there: Mapping[str, str], columns: Iterable[Column]) -> list[Column]:
    """Return what a table has and the store has not, as columns without values: none is dropped."""
    names = {column.name for column in columns}
    missing = {name: kind for name, kind in there.items() if name not in names}
    return [
        Column(name, kind, f"map_entries({cell})" if kind.startswith("MAP(") else cell, name)
        for name, kind in missing.items()
        if (cell := f"CAST(NULL AS {kind})")
    ]


def _ended_well(job: Any, *, sent: bool) -> bool:
    """Wait for a job; tell whether it ended well, or raise what became of this run's own."""
    try:
        with _explained():
            job.result()
    except FinopsError:
        if sent or not job.error_result:
            raise
        return False
    return True


def _require_client() -> None:
    if find_spec("google") is None or find_spec("google.cloud.bigquery") is None:
        raise LocalError(
            "publishing to BigQuery needs Google's client",
            code="missing-extra",
            do="pip install 'open-finops[bigquery]'; from a clone"
            " .venv/bin/pip install '.[bigquery]'",
        )


def _read_labels(config: WarehouseConfig) -> dict[str, str]:
    """Read ``key=value,key=value`` into labels, beside our own."""
    pairs = [pair.strip() for pair in config.labels.split(",") if pair.strip()]
    for pair in pairs:
        if not re.fullmatch("[a-z][a-z0-9_-]{0,62}=[a-z0-9_-]{0,63}", pair):
            raise ConfigError(
                f"{pair!r} cannot be a label",
                where=f"[{config.section}] labels",
                do="write key=value in lower case letters, digits, _ and -, with commas between",
            )
    return dict(pair.split("=") for pair in pairs) | _MAKER


def _load_config(fields: Sequence[Any], labels: dict[str, str]) -> Any:
    from google.cloud.bigquery import LoadJobConfig
    from google.cloud.bigquery.format_options import ParquetOptions

    lists = ParquetOptions()
    lists.enable_list_inference = True
    config = LoadJobConfig(
        source_format="PARQUET",
        write_disposition="WRITE_TRUNCATE",
        schema=fields,
        decimal_target_types=["NUMERIC", "BIGNUMERIC"],
        labels=labels,
    )
    config.parquet_options = lists
    return config


def _ledger_fields(types: Mapping[str, str]) -> list[Any]:
    return [_field(name, types[kind]) for name, kind in LEDGER_COLUMNS.items()]


def _field_of(column: Column, types: Mapping[str, str]) -> Any:
    return _field(column.name, types[column.type], column.original)


def _field(name: str, kind: str, original: str = "") -> Any:
    """Return a nullable field; what an export calls its column is the description."""
    from google.cloud.bigquery import SchemaField

    more: Any = {"description": original[:1024]} if original not in ("", name) else {}
    if kind.startswith("ARRAY<"):
        entry = [_field("key", "STRING"), _field("value", kind.rpartition(" ")[2].rstrip(">"))]
        return SchemaField(name, "RECORD", mode="REPEATED", fields=entry, **more)
    return SchemaField(name, kind, **more)


def _type_of(field: Any) -> str:
    """Return the type of a field as SQL names it."""
    if field.field_type not in ("RECORD", "STRUCT"):
        return str(_SQL_NAMES.get(field.field_type, field.field_type))
    entry = ", ".join(f"{each.name} {_type_of(each)}" for each in field.fields)
    return f"ARRAY<STRUCT<{entry}>>"


def _described(field: Any, original: str) -> Any:
    from google.cloud.bigquery import SchemaField

    if not original or original == field.name:
        return field
    return SchemaField.from_api_repr({**field.to_api_repr(), "description": original[:1024]})


def _explained(*expected: type[Exception]) -> AbstractContextManager[None]:
    """Translate what Google's libraries raise once; what is ``expected`` passes."""
    roles = "docs/warehouses.md names the roles; finops warehouse check NAME tries them"
    again = "run again: a job that was sent is asked for, never sent twice"
    return explained(None, roles, again, *expected)
