"""Sample exports as Azure would deliver them: actual and amortized cost, EA and MCA.

A folder plays the container. The line items come from ``sample.sql``; here they are spelled as
an export and laid out as blobs. Nothing reads a clock: the same arguments give the same bytes.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import shutil
import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import duckdb

from finops.period import BillingPeriod
from finops.sql import identifier
from finops.vendors.azure.contract import COSTS, read_contract, squashed

_SUFFIXES = {"gzip": ".csv.gz", "none": ".csv"}
_CHOICES = {
    "agreement": ("ea", "mca"),
    "layout": ("2024", "2021", "none"),
    "export_format": ("csv", "parquet"),
    "compression": tuple(_SUFFIXES),
    "versioning": ("create_new", "overwrite"),
}
_FIXED_ROWS = 160
_PARQUET_TYPES = {"text": "VARCHAR", "date": "TIMESTAMP", "money": "DECIMAL(38, 20)"}


@dataclass(frozen=True, slots=True)
class SampleLayout:
    """How the two exports are configured in Azure; without ``amortized_name`` there is one.

    ``layout`` is the version of the manifest, or ``none``: then an export is one file.
    """

    agreement: str = "ea"
    layout: str = "2024"
    export_format: str = "csv"
    compression: str = "gzip"
    versioning: str = "create_new"
    prefix: str = "costs"
    export_name: str = "daily-actual"
    amortized_name: str = "daily-amortized"
    account: str = "8611537"
    files: int = 2

    def __post_init__(self) -> None:
        """Refuse what Azure does not offer."""
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} is one of {', '.join(choices)}")
        if self.files < 1:
            raise ValueError("files is at least 1")

    @property
    def suffix(self) -> str:
        """How the names of data files end."""
        parquet = self.export_format == "parquet"
        return ".snappy.parquet" if parquet else _SUFFIXES[self.compression]

    @property
    def currency(self) -> str:
        """What is billed; prices are in USD."""
        return "EUR" if self.agreement == "mca" else "USD"

    @property
    def exports(self) -> dict[str, str]:
        """The names of the exports by dataset."""
        named = {"ActualCost": self.export_name, "AmortizedCost": self.amortized_name}
        return {dataset: name for dataset, name in named.items() if name}


@dataclass(frozen=True, slots=True)
class SampleDelivery:
    """What one delivery holds. Sums are exact, per currency; ``bytes`` are of the data files.

    ``rows`` counts the line items of both datasets, ``charge_types`` those of each.
    """

    period: BillingPeriod
    delivery_id: str
    manifest_keys: tuple[str, ...]
    data_keys: tuple[str, ...]
    rows: int
    bytes: int
    actual: dict[str, Decimal]
    amortized: dict[str, Decimal]
    charge_types: dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class _Order:
    """One delivery to write; ``first`` is the first period of the whole sample."""

    period: BillingPeriod
    first: BillingPeriod
    layout: SampleLayout
    rows: int
    seed: int
    refresh: int
    is_invoiced: bool

    @property
    def submitted_at(self) -> datetime:
        """When Azure would have begun the run, UTC: one run a day after the month."""
        return self.period.end + timedelta(days=self.refresh, hours=4, minutes=27)

    def run_id(self, dataset: str) -> str:
        """Return the id of the run; no other run of any sample has it."""
        parts = [str(part) for part in (self.period, self.layout, self.seed, self.refresh)]
        digest = hashlib.sha256(repr([*parts, dataset]).encode()).hexdigest()
        return str(uuid.UUID(digest[:32], version=4))

    def variables(self) -> dict[str, object]:
        """Return what ``sample.sql`` reads."""
        mca, period = self.layout.agreement == "mca", self.period
        return {
            "seed": self.seed,
            "refresh": self.refresh,
            "usage_rows": max(self.rows - _FIXED_ROWS, 40) + self.refresh - 1,
            "period_start": period.start.replace(tzinfo=None),
            "days": (period.end - period.start).days,
            "is_purchase": period == self.first,
            "is_invoiced": mca and self.is_invoiced,
            "account": f"{self.layout.account}:7c05_2019-05-31" if mca else self.layout.account,
            "profile": f"ABCD-EFGH-{self.layout.account}" if mca else self.layout.account,
            "currency": self.layout.currency,
            "rate": "0.9217" if mca else "1",
            "tags_open": "{" if mca else "",
            "tags_close": "}" if mca else "",
        }


def write_sample(  # noqa: PLR0913 - each is a choice of its own, and all have names
    out: Path,
    *,
    periods: Sequence[BillingPeriod],
    rows: int,
    seed: int,
    layout: SampleLayout | None = None,
    refresh: int = 1,
    final: bool = False,
    only: Collection[BillingPeriod] | None = None,
) -> list[SampleDelivery]:
    """Write one delivery for every period into the folder ``out``, as into a container.

    ``rows`` is the approximate number of line items of a period and dataset, at least 200. A
    reservation is bought upfront in the first of ``periods``; the last has no invoice unless
    ``final``. A higher ``refresh`` is a later run: a hundredth of the usage is other. ``only``
    limits what is written to some of the periods, as a part of the same sample.
    """
    ordered = sorted(periods)
    orders = [
        _Order(
            period=period,
            first=ordered[0],
            layout=layout or SampleLayout(),
            rows=rows,
            seed=seed,
            refresh=refresh,
            is_invoiced=final or period != ordered[-1],
        )
        for period in ordered
        if only is None or period in only
    ]
    return [_write_delivery(out, order) for order in orders]


def _write_delivery(out: Path, order: _Order) -> SampleDelivery:
    manifests: list[str] = []
    data: list[str] = []
    with _line_items(order) as con:
        totals = con.execute("FROM type_total").fetchall()
        for dataset, name in order.layout.exports.items():
            keys, manifest = _write_run(con, out, order, dataset, name)
            data += keys
            manifests += filter(None, [manifest])
    written = [total for total in totals if total[0] in order.layout.exports]
    return SampleDelivery(
        period=order.period,
        delivery_id="+".join(order.run_id(dataset) for dataset in order.layout.exports),
        manifest_keys=tuple(manifests),
        data_keys=tuple(data),
        rows=sum(total[2] for total in written),
        bytes=sum((out / key).stat().st_size for key in data),
        actual={order.layout.currency: _sum(totals, "ActualCost")},
        amortized={order.layout.currency: _sum(totals, "AmortizedCost")},
        charge_types={
            dataset: {total[1]: total[2] for total in totals if total[0] == dataset}
            for dataset in order.layout.exports
        },
    )


def _sum(totals: Sequence[tuple[str, str, int, Decimal]], dataset: str) -> Decimal:
    return sum((total[3] for total in totals if total[0] == dataset), Decimal(0))


@contextmanager
def _line_items(order: _Order) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database in memory that holds one delivery's line items."""
    with duckdb.connect(":memory:") as con:
        con.execute("SET threads = 1").fetchall()
        for name, value in order.variables().items():
            con.execute(f"SET VARIABLE {name} = ?", [value]).fetchall()
        text = files(__package__).joinpath("sample.sql").read_text(encoding="utf-8")
        for statement in con.extract_statements(text):
            con.execute(statement).fetchall()
        yield con


def _write_run(
    con: duckdb.DuckDBPyConnection, out: Path, order: _Order, dataset: str, name: str
) -> tuple[list[str], str]:
    """Write one run of one export, its manifest last; return the keys."""
    layout, month = order.layout, _month_folder(order, name)
    if layout.versioning == "overwrite":
        shutil.rmtree(out / month, ignore_errors=True)
    folder, keys = _keys(order, dataset, name)
    counts = _write_data(con, out, order, dataset, keys)
    if layout.layout == "none":
        return keys, ""
    manifest = f"{folder}/manifest.json"
    body = _manifest(out, order, dataset, name, dict(zip(keys, counts, strict=True)))
    (out / manifest).write_text(json.dumps(body, indent=2), encoding="utf-8")
    return keys, manifest


def _month_folder(order: _Order, name: str) -> str:
    """Return the folder of a month, from its first day to its last."""
    last = order.period.end - timedelta(days=1)
    return _join(order.layout.prefix, name, f"{order.period.start:%Y%m%d}-{last:%Y%m%d}")


def _keys(order: _Order, dataset: str, name: str) -> tuple[str, list[str]]:
    layout, month, run_id = order.layout, _month_folder(order, name), order.run_id(dataset)
    if layout.layout == "none":
        return month, [f"{month}/{name}_{run_id}{layout.suffix}"]
    folder = f"{month}/{order.submitted_at:%Y%m%d%H%M}/{run_id}"
    form = "{:06}" if layout.layout == "2021" else "part_0_{:04}"
    names = [form.format(number) + layout.suffix for number in range(1, layout.files + 1)]
    return folder, [f"{folder}/{name}" for name in names]


def _write_data(
    con: duckdb.DuckDBPyConnection, out: Path, order: _Order, dataset: str, keys: Sequence[str]
) -> list[int]:
    """Write the data files, each an equal stretch of the line items; return their row counts."""
    ((rows,),) = con.execute(
        "SELECT count(*) FROM line_item WHERE dataset_type = ?", [dataset]
    ).fetchall()
    bounds = [rows * part // len(keys) for part in range(len(keys) + 1)]
    for key, stretch in zip(keys, pairwise(bounds), strict=True):
        (out / key).parent.mkdir(parents=True, exist_ok=True)
        _write_file(con, out / key, order.layout, [dataset, *stretch])
    return [stop - start for start, stop in pairwise(bounds)]


def _write_file(
    con: duckdb.DuckDBPyConnection, path: Path, layout: SampleLayout, values: list[object]
) -> None:
    parquet = layout.export_format == "parquet"
    plain = path if path.suffix != ".gz" else path.with_name(f"{path.name}.plain")
    form = "FORMAT parquet, COMPRESSION snappy" if parquet else "FORMAT csv, HEADER"
    con.execute(
        f"COPY (SELECT {_projection(con, layout)} FROM line_item WHERE dataset_type = ?"
        f" AND line_number >= ? AND line_number < ? ORDER BY line_number) TO ? ({form})",
        [*values, str(plain)],
    ).fetchall()
    if plain != path:
        with (
            plain.open("rb") as source,
            path.open("wb") as target,
            gzip.GzipFile("", "wb", 1, target, mtime=0) as archive,
        ):
            shutil.copyfileobj(source, archive)
        plain.unlink()


def _projection(con: duckdb.DuckDBPyConnection, layout: SampleLayout) -> str:
    """Spell the line items as the agreement's exports do."""
    present = {str(row[0]) for row in con.execute("DESCRIBE line_item").fetchall()}
    parquet = layout.export_format == "parquet"
    return ", ".join(
        f"{_cell(column, present, parquet=parquet)} AS {identifier(column)}"
        for column in _headers(layout.agreement)
    )


def _cell(header: str, present: set[str], *, parquet: bool) -> str:
    """Spell one value: Parquet has types, CSV has dates with the month first."""
    known = read_contract(COSTS)[squashed(header)]
    name = known.name if known.name in present else "NULL"
    if parquet:
        return f"CAST({name} AS {_PARQUET_TYPES.get(known.kind, 'DOUBLE')})"
    if known.kind == "date":
        return f"strftime({name}, '%m/%d/%Y')"
    return name if known.kind == "text" else f"regexp_replace({name}::VARCHAR, '\\.?0+$', '')"


@cache
def _headers(agreement: str) -> tuple[str, ...]:
    text = files(__package__).joinpath("sample_columns.csv").read_text("utf-8")
    rows = csv.DictReader(text.splitlines())
    return tuple(row["column"] for row in rows if row["agreement"] == agreement)


def _manifest(
    out: Path, order: _Order, dataset: str, name: str, counts: dict[str, int]
) -> dict[str, object]:
    blobs = [
        {"blobName": key, "byteCount": (out / key).stat().st_size, "dataRowCount": rows}
        for key, rows in counts.items()
    ]
    sums = {
        "blobCount": len(blobs),
        "byteCount": sum((out / key).stat().st_size for key in counts),
        "dataRowCount": sum(counts.values()),
    }
    if order.layout.layout == "2021":
        more = [blob | {"headerRowCount": 1} for blob in blobs]
        return {"manifestVersion": "2021-01-01", "dataFormat": "csv", **sums, "blobs": more}
    return {
        "manifestVersion": "2024-04-01",
        **sums,
        **_manifest_sections(order, dataset, name),
        "blobs": blobs,
    }


def _manifest_sections(order: _Order, dataset: str, name: str) -> dict[str, object]:
    layout = order.layout
    scope = f"/providers/Microsoft.Billing/billingAccounts/{layout.account}"
    parquet = layout.export_format == "parquet"
    return {
        "exportConfig": {
            "exportName": name,
            "resourceId": f"{scope}/providers/Microsoft.CostManagement/exports/{name}",
            "dataVersion": "2024-08-01" if layout.agreement == "ea" else "2023-12-01-preview",
            "apiVersion": "2023-07-01-preview",
            "type": dataset,
            "timeFrame": "MonthToDate",
            "granularity": "Daily",
        },
        "deliveryConfig": {
            "partitionData": True,
            "dataOverwriteBehavior": "OverwritePreviousReport"
            if layout.versioning == "overwrite"
            else "CreateNewReport",
            "fileFormat": "Parquet" if parquet else "Csv",
            "compressionMode": "Snappy" if parquet else _mode(layout),
            "containerUri": "/subscriptions/00000000-0000-0000-0000-000000000000",
            "rootFolderPath": layout.prefix,
        },
        "runInfo": {
            "executionType": "Scheduled",
            "submittedTime": f"{order.submitted_at:%Y-%m-%dT%H:%M:%S}.5234447Z",
            "runId": order.run_id(dataset),
            "startDate": f"{order.period.start:%Y-%m-%dT00:00:00}",
            "endDate": f"{order.period.end - timedelta(days=1):%Y-%m-%dT00:00:00Z}",
        },
    }


def _mode(layout: SampleLayout) -> str:
    return "Gzip" if layout.compression == "gzip" else "None"


def _join(*parts: str) -> str:
    return "/".join(part.strip("/") for part in parts if part.strip("/"))
