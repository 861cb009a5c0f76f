"""BigQuery, by load jobs: one job per period, which replaces a table or a partition at once.

A job's id is made of what it replaces and how often that was replaced before. So a job is never
sent twice: whoever sends it again, after a lost answer or a crash, is told that it is there, and
asks what became of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from hashlib import sha256
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from finops import __version__
from finops.columns import ColumnType
from finops.config import WarehouseConfig
from finops.errors import (
    AccessError,
    BadDataError,
    ConfigError,
    FinopsError,
    LocalError,
    RefusedError,
    TemporaryError,
    UnavailableError,
)
from finops.faults import crash_point
from finops.period import BillingPeriod
from finops.rows import JSON, PUBLISHED_TIME, Column, Rows
from finops.warehouses import LEDGER, LEDGER_COLUMNS, Finding, Publication, Table, Warehouse

_PROBE = "finops_check"
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
        with _explained():
            self._client = _client(config)

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
            return [tuple(row.values()) for row in self._client.query_and_wait(sql)]

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
        from google.api_core.exceptions import NotFound

        with suppress(NotFound), _explained(NotFound):
            self._client.get_table(f"{dataset}.{LEDGER}")
            return super().ledger(dataset)
        return {}

    def replace(self, table: Table, period: BillingPeriod, rows: Rows, entry: Publication) -> None:
        """Send the period as one load job, compare, then append to the ledger.

        The job replaces a table, or one partition, at once. After a crash in between, the next
        run finds the job, compares, and only writes the ledger.
        """
        self._make_dataset(table.dataset)
        holding = table.holding(period)
        present = self._present(table.dataset, holding)
        columns = self.columns_for(rows, present)
        target = self._make_table(table, holding, columns)
        if table.partitioned and present:
            self._widen(table, target, present, columns)
        rows = rows.with_columns(columns)
        stem = self._job_stem(table, entry)
        with TemporaryDirectory(dir=self.scratch) as folder:
            file = Path(folder, "rows.parquet")
            rows.write_parquet(file)
            self._run_once(
                stem,
                entry.content,
                partial(self._load, table, period, columns, file),
                lambda: self.compare(table, period, rows),
            )
        if present and any(column.name not in present for column in columns):
            self._describe(target, columns)
        crash_point("rows-compared")
        self._record(table.dataset, stem, entry)

    def create_view(self, dataset: str, name: str, sql: str, _columns: Iterable[str]) -> None:
        """Create or replace a view, unless it says the same already."""
        from google.api_core.exceptions import NotFound

        with suppress(NotFound), _explained(NotFound):
            if self._client.get_table(f"{dataset}.{name}").view_query == sql:
                return
        self.query(f"CREATE OR REPLACE VIEW {self.identifier(dataset, name)} AS {sql}")

    def check(self) -> Iterator[Finding]:
        """Run a job, and in each dataset write a table that is deleted again."""
        self.query("SELECT 1")
        yield Finding("connection", f"jobs run in the project {self._client.project}")
        for name in dict.fromkeys((self.config.dataset, self.config.focus_dataset)):
            made = self._make_dataset(name)
            with _explained():
                location = self._client.get_dataset(name).location
                try:
                    config = _load_config([_field(_PROBE, "BIGNUMERIC")], self._labels)
                    config.source_format = "NEWLINE_DELIMITED_JSON"
                    place = f"{self._client.project}.{name}.{_PROBE}"
                    self._client.load_table_from_json(
                        [{_PROBE: "1"}], place, job_config=config
                    ).result()
                    self._client.delete_table(place)
                finally:
                    if made:
                        self._client.delete_dataset(name, delete_contents=True)
            yield Finding(
                f"dataset {name}",
                f"in {location}: a table was written and removed"
                + ("; the dataset can be made" if made else ""),
            )

    def _present(self, dataset: str, name: str) -> dict[str, str]:
        """Return the columns of a table, with DuckDB's types; none where there is no table."""
        from google.api_core.exceptions import NotFound

        known = {own: kind for kind, own in reversed(list(self.types.items()))}
        with suppress(NotFound), _explained(NotFound):
            fields = self._client.get_table(f"{dataset}.{name}").schema
            return {field.name: known.get(_type_of(field), ColumnType.TEXT) for field in fields}
        return {}

    def _has_dataset(self, name: str) -> bool:
        from google.api_core.exceptions import NotFound

        with suppress(NotFound), _explained(NotFound):
            self._client.get_dataset(name)
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

    def _make_table(self, table: Table, name: str, columns: Sequence[Column]) -> Any:
        """Return a table, made where there is none: by month, clustered, labelled."""
        from google.api_core.exceptions import NotFound
        from google.cloud.bigquery import Table as BigQueryTable

        place = f"{self._client.project}.{table.dataset}.{name}"
        with suppress(NotFound), _explained(NotFound):
            return self._client.get_table(place)
        made = BigQueryTable(place, schema=[_field_of(column, self.types) for column in columns])
        made.time_partitioning = self._partitioning(table)
        made.clustering_fields = self._clustering(table, columns)
        made.labels = self._labels
        with _explained():
            return self._client.create_table(made, exists_ok=True)

    def _partitioning(self, table: Table) -> Any:
        from google.cloud.bigquery import TimePartitioning

        field = self.own_name(table.start_column)
        return TimePartitioning(type_="MONTH", field=field) if table.partitioned else None

    def _clustering(self, table: Table, columns: Sequence[Column]) -> list[str] | None:
        kinds = {column.name: self.types[column.type] for column in columns}
        names = [self.own_name(name) for name in table.clustering]
        allowed = [name for name in names if kinds.get(name) in ("STRING", "DATE", "TIMESTAMP")]
        return allowed[:_CLUSTERING_LIMIT] or None

    def _widen(
        self, table: Table, target: Any, there: Mapping[str, str], columns: Sequence[Column]
    ) -> None:
        """Write the whole table anew, in one job, where a type of it holds too little."""
        from google.cloud.bigquery import QueryJobConfig

        wanted = {column.name: column.type for column in columns}
        changed = {name for name, kind in there.items() if wanted.get(name, kind) != kind}
        if not changed:
            return
        cells = ", ".join(
            f"{self.cast(f'`{name}`', kind, wanted[name])} AS `{name}`"
            if name in changed
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
        self._describe(target, columns)

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
                source, place, job_id=job_id, job_config=config, rewind=True
            )

    def _job_stem(self, table: Table, entry: Publication) -> str:
        place = f"{self._client.project}.{table.dataset}.{table.name}"
        digest = sha256(place.encode()).hexdigest()[:12]
        return f"finops-{table.name}-{entry.billing_period}-{entry.generation}-{digest}"

    def _run_once(
        self,
        stem: str,
        content: str,
        send: Callable[[str, dict[str, str]], Any],
        accept: Callable[[], None],
    ) -> None:
        """Send a job unless it was sent before, and wait for it.

        A job that is there already counts if it ended well, was to do the same and is
        accepted: an earlier run sent it and was killed. Otherwise another number is tried, once
        it is done.
        """
        labels = {**self._labels, "finops-content": sha256(content.encode()).hexdigest()[:32]}
        for attempt in count():
            job_id = f"{stem}-{attempt}"
            job, sent = self._sent_or_found(job_id, partial(send, job_id, labels))
            try:
                with _explained():
                    job.result()
                crash_point("rows-sent")
                if sent or job.labels.get("finops-content") == labels["finops-content"]:
                    accept()
                    return
            except (BadDataError, RefusedError):
                if sent:
                    raise

    def _sent_or_found(self, job_id: str, send: Callable[[], Any]) -> tuple[Any, bool]:
        """Return a job, and whether it is this run's own; after a lost answer, ask for it."""
        from google.api_core.exceptions import Conflict, NotFound

        try:
            try:
                with _explained(Conflict):
                    return send(), True
            except Conflict:
                with _explained():
                    return self._client.get_job(
                        job_id, location=self.config.location or None
                    ), False
        except UnavailableError:
            with suppress(NotFound), _explained(NotFound):
                return self._client.get_job(job_id, location=self.config.location or None), True
            raise

    def _record(self, dataset: str, stem: str, entry: Publication) -> None:
        fields = [_field(name, self.types[kind]) for name, kind in LEDGER_COLUMNS.items()]
        row = {**asdict(entry), "published_at": entry.published_at.isoformat()}
        place = f"{self._client.project}.{dataset}.{LEDGER}"

        def send(job_id: str, labels: dict[str, str]) -> Any:
            config = _load_config(fields, labels)
            config.source_format = "NEWLINE_DELIMITED_JSON"
            config.write_disposition = "WRITE_APPEND"
            return self._client.load_table_from_json([row], place, job_id=job_id, job_config=config)

        self._run_once(f"{stem}-ledger", f"{row}", send, lambda: None)


connect = BigQueryWarehouse


def _require_client() -> None:
    if find_spec("google") is None or find_spec("google.cloud.bigquery") is None:
        raise LocalError(
            "publishing to BigQuery needs Google's client",
            code="missing-extra",
            do="pip install 'open-finops[bigquery]'",
        )


def _client(config: WarehouseConfig) -> Any:
    from google.api_core.client_info import ClientInfo
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.bigquery import Client

    # A token that goes over plain http is everybody's.
    bare = config.endpoint.startswith("http://")
    return Client(
        project=config.project_id or None,
        credentials=AnonymousCredentials() if bare else None,
        location=config.location or None,
        client_info=ClientInfo(user_agent=f"open-finops/{__version__}"),
        client_options={"api_endpoint": config.endpoint} if config.endpoint else None,
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
    return {"made-by": "open-finops"} | dict(pair.split("=") for pair in pairs)


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


@contextmanager
def _explained(*expected: type[Exception]) -> Iterator[None]:
    """Translate what Google's libraries raise once; what is ``expected`` passes."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from requests.exceptions import RequestException

    try:
        yield
    except expected:
        raise
    except GoogleAuthError as error:
        do = "gcloud auth application-default login, or set GOOGLE_APPLICATION_CREDENTIALS"
        raise AccessError(f"no usable credentials: {error}", do=do) from error
    except (GoogleAPIError, RequestException) as error:
        raise _from_google(error) from error


def _from_google(error: Any) -> FinopsError:
    from google.api_core import exceptions as google

    details = getattr(error, "errors", None) or [{}]
    reason = details[0].get("reason", "")
    what = f"BigQuery: {getattr(error, 'message', None) or error}"
    if reason in ("quotaExceeded", "rateLimitExceeded") or isinstance(
        error, google.TooManyRequests
    ):
        return TemporaryError(what, code="throttled", do="run again later")
    if isinstance(error, google.Unauthorized | google.Forbidden):
        do = "finops warehouse check NAME tells which right is missing"
        return AccessError(what, do=do)
    if isinstance(error, google.BadRequest):
        return BadDataError(what, code="bad-data", do="the job's page in the console tells more")
    do = "run again: a job that was sent is asked for, never sent twice"
    return UnavailableError(what, do=do)
