"""Tables of BigQuery read as a bucket: each month of a table is an object, a Parquet file.

Also what everything here shares that talks to BigQuery: the client, and one wording of what
goes wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from finops import __version__
from finops.config import Export
from finops.delivery import StoredObject
from finops.errors import (
    AccessError,
    BadDataError,
    ConfigError,
    FinopsError,
    TemporaryError,
    UnavailableError,
)
from finops.period import BillingPeriod
from finops.storage import Advance
from finops.storage.remote import changed, missing, require

_PLACE = re.compile(
    r"bq://(?P<project>(?:[a-z0-9.-]+:)?[a-z0-9-]+)\.(?P<dataset>\w+)(?:\.(?P<table>[\w-]+))?"
)
_SECONDS = 60
_PAGE = 50_000
_ROLES = (
    "roles/bigquery.dataViewer on the dataset and roles/bigquery.jobUser on the project are needed"
)
# Rows are in the partition of the day on which they came, never before their month began.
_EARLIER_DAYS = 2


class _Months(NamedTuple):
    """How a table tells the month of a row, as YYYY-MM, and when the row came."""

    month: str
    came: str


# By a column that only such a table has.
_FORMS = {
    "invoice": _Months(
        "CONCAT(LEFT(invoice.month, 4), '-', RIGHT(invoice.month, 2))", "export_time"
    ),
    "billedcost": _Months("FORMAT_TIMESTAMP('%Y-%m', BillingPeriodStart)", "x_ExportTime"),
}


class BigQueryTable:
    """The table of ``bq://PROJECT.DATASET.TABLE``, or of a dataset the one called ``export_name``.

    An object's ETag is made of the number of rows and the time at which the last one came; its
    size is not known before. Only months that the date filters let through are asked for.
    """

    live = True

    def __init__(self, url: str, export: Export) -> None:
        """Find credentials; of the table nothing is asked yet."""
        self.url, self._export = url, export
        place = _PLACE.fullmatch(url)
        self._name = (place["table"] or export.export_name) if place else ""
        if place is None or not re.fullmatch(r"[\w-]+", self._name):
            raise ConfigError(
                f"{url!r} names no table of BigQuery",
                do="write bq://PROJECT.DATASET.TABLE, or bq://PROJECT.DATASET and export_name",
            )
        require("gcp", "google.cloud.bigquery", "pyarrow")
        self._path = f"{place['project']}.{place['dataset']}.{self._name}"
        with self._explained(""):
            self._client = connect(place["project"], export.endpoint)

    def list_objects(self, prefix: str) -> Iterator[StoredObject]:
        """Yield an object for every month of the table."""
        if f"{self._name}/".startswith(prefix) or prefix.startswith(f"{self._name}/"):
            found = self._months(self._export.start_date, self._export.end_date)
            yield from (each for each in found if each.key.startswith(prefix))

    def head_object(self, key: str) -> StoredObject:
        """Ask for the rows of one month."""
        period = self._period_of(key)
        found = next(self._months(period, period), None)
        if found is None:
            raise missing(self._where(key))
        return found

    def read_object(self, key: str, limit: int) -> tuple[bytes, StoredObject]:
        """Refuse: there are no small objects."""
        raise self._unfit(key)

    def download(self, stored: StoredObject, to: Path, advance: Advance) -> None:
        """Write the rows of a month as Parquet, all of them anew, and count them."""
        period = self._period_of(stored.key)
        with self._explained(stored.key):
            sql = f"SELECT * FROM `{self._path}` WHERE {self._within(period, period)}"
            rows = self._ask(sql)
            written = _write_parquet(rows, to)
        advance(to.stat().st_size)
        if f"{written}" != stored.etag.partition("-")[0]:
            raise changed(self._where(stored.key))

    def upload(self, file: Path, key: str) -> None:
        """Refuse: a table takes no files."""
        raise self._unfit(key)

    def remove_object(self, key: str) -> None:
        """Refuse: a table has no files."""
        raise self._unfit(key)

    def _months(
        self, first: BillingPeriod | None, last: BillingPeriod | None
    ) -> Iterator[StoredObject]:
        came = f"MAX({self._form.came})"
        sql = (
            f"SELECT {self._form.month} AS month, COUNT(*) AS found, {came} AS came"
            f" FROM `{self._path}` WHERE {self._within(first, last)} GROUP BY 1"
        )
        with self._explained(""):
            rows = list(self._ask(sql))
        for month, found, latest in rows:
            key, at = f"{self._name}/{month}.parquet", latest or datetime.fromtimestamp(0, UTC)
            at = at if at.tzinfo else at.replace(tzinfo=UTC)
            yield StoredObject(key, 0, f"{found}-{at:%Y%m%dT%H%M%S.%fZ}", at)

    def _within(self, first: BillingPeriod | None, last: BillingPeriod | None) -> str:
        """Return SQL for the rows of some months, which reads no partition before them."""
        conditions = [f"{self._form.month} >= '{first}'"] if first else []
        conditions += [f"{self._form.month} <= '{last}'"] if last else []
        partitions = self._table.time_partitioning
        if first and partitions and not partitions.field:
            since = f"TIMESTAMP_SUB('{first}-01', INTERVAL {_EARLIER_DAYS} DAY)"
            conditions.append(f"(_PARTITIONTIME >= {since} OR _PARTITIONTIME IS NULL)")
        return " AND ".join(conditions) or "TRUE"

    def _ask(self, sql: str) -> Any:
        job = self._client.query(sql, retry=patience())
        return job.result(page_size=_PAGE, retry=patience())

    @cached_property
    def _table(self) -> Any:
        with self._explained(""):
            return self._client.get_table(self._path, retry=patience())

    @property
    def _form(self) -> _Months:
        names = {field.name.lower() for field in self._table.schema}
        for mark, form in _FORMS.items():
            if mark in names:
                return form
        raise BadDataError(
            "the table is no billing export",
            code="bad-header",
            where=self.url,
            do="name the table of the standard, detailed or FOCUS export",
        )

    def _period_of(self, key: str) -> BillingPeriod:
        found = re.fullmatch(r".*/(\d{4}-\d\d)\.parquet", key)
        if found is None:
            raise missing(self._where(key))
        return BillingPeriod.parse(found[1])

    def _where(self, key: str) -> str:
        return f"{self.url}/{key}"

    def _unfit(self, key: str) -> ConfigError:
        return ConfigError(
            "a table of BigQuery holds no files", where=self._where(key), do="name a bucket"
        )

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        from google.api_core.exceptions import NotFound

        where = self._where(key) if key else self.url
        try:
            with explained(where, _ROLES, "run again", NotFound):
                yield
        except NotFound as error:
            what = f"BigQuery: {error.message}"
            do = "check project, dataset and table"
            raise ConfigError(what, where=where, do=do) from error


def connect(project: str, endpoint: str, location: str = "") -> Any:
    """Make a client with application default credentials; over plain http with none."""
    from google.api_core.client_info import ClientInfo
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.bigquery import Client

    # A token that goes over plain http is everybody's.
    bare = endpoint.startswith("http://")
    return Client(
        project=project or None,
        credentials=AnonymousCredentials() if bare else None,
        location=location or None,
        client_info=ClientInfo(user_agent=f"open-finops/{__version__}"),
        client_options={"api_endpoint": endpoint} if endpoint else None,
    )


@contextmanager
def explained(
    where: str | None, roles: str, again: str, *expected: type[Exception]
) -> Iterator[None]:
    """Translate what Google's libraries raise once; what is ``expected`` passes.

    ``roles`` says what helps where rights are lacking, ``again`` where no answer came.
    """
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from requests.exceptions import RequestException

    try:
        yield
    except expected:
        raise
    except GoogleAuthError as error:
        do = "gcloud auth application-default login, or set GOOGLE_APPLICATION_CREDENTIALS"
        raise AccessError(f"no usable credentials: {error}", where=where, do=do) from error
    except (GoogleAPIError, RequestException) as error:
        raise _from_google(error, where, roles, again) from error


def patience() -> Any:
    """Return how long a request is repeated that is not answered."""
    from google.cloud.bigquery import DEFAULT_RETRY

    return DEFAULT_RETRY.with_timeout(_SECONDS)


def _from_google(error: Any, where: str | None, roles: str, again: str) -> FinopsError:
    from google.api_core import exceptions as google

    details = getattr(error, "errors", None) or [{}]
    reason = details[0].get("reason", "")
    what = f"BigQuery: {getattr(error, 'message', None) or error}"
    if reason in ("quotaExceeded", "rateLimitExceeded") or isinstance(
        error, google.TooManyRequests
    ):
        return TemporaryError(what, code="throttled", where=where, do="run again later")
    if isinstance(error, google.Unauthorized | google.Forbidden):
        return AccessError(what, where=where, do=roles)
    if isinstance(error, google.BadRequest):
        do = "the job's page in the console tells more"
        return BadDataError(what, code="bad-data", where=where, do=do)
    return UnavailableError(what, where=where, do=again)


def _write_parquet(rows: Any, to: Path) -> int:
    """Write rows page by page; return how many there are."""
    from pyarrow.parquet import ParquetWriter  # type: ignore[import-untyped]

    pages = rows.to_arrow_iterable()
    first = next(pages)
    written = 0
    with ParquetWriter(to, first.schema) as writer:
        while first is not None:
            writer.write_batch(first)
            written += first.num_rows
            first = next(pages, None)
    return written
