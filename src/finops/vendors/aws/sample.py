"""Sample exports as AWS would deliver them: Cost and Usage Report 1 and CUR 2.0.

A folder plays the bucket. The line items come from ``sample_catalog.sql`` (what is bought)
and ``sample.sql`` (the line items); here they are spelled as an export and laid out as keys.
Nothing reads a clock: the same arguments give the same bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import uuid
import zipfile
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import duckdb

from finops.period import BillingPeriod
from finops.vendors.aws.contract import read_contract
from finops.vendors.aws.names import aws_column_name

_SUFFIXES = {"gzip": ".csv.gz", "zip": ".csv.zip", "none": ".csv"}
_CHOICES = {
    "cur_version": ("v1", "v2"),
    "export_format": ("csv", "parquet"),
    "compression": tuple(_SUFFIXES),
    "versioning": ("create_new", "overwrite"),
}
_TAGS = (
    "resourceTags/aws:createdBy",
    "resourceTags/user:CostCenter",
    "resourceTags/user:Environment",
    "resourceTags/user:Name",
    "resourceTags/user:Project",
    "resourceTags/user:Team",
    "costCategory/Team",
)
_DAILY_FROM, _HOURLY_FROM = 10_000, 300_000
_OPTIONAL_AT_AWS = ("product/", "discount/", "splitLineItem/", "/Net")
_REQUIRED = (
    "identity/LineItemId",
    "bill/BillingEntity",
    "bill/BillType",
    "bill/PayerAccountId",
    "lineItem/UsageAccountId",
    "lineItem/LineItemType",
)
_V1_TYPES = {"text": "String", "timestamp": "DateTime"}
_V2_TYPES = {"text": "string", "timestamp": "timestamp", "text_map": "map", "money_map": "map"}
_V2_PARTS = ("data", "metadata")
_CSV = "FORMAT csv, HEADER, COMPRESSION none, TIMESTAMPFORMAT '%Y-%m-%dT%H:%M:%SZ'"
_PARQUET = "FORMAT parquet, COMPRESSION snappy"
_PARQUET_TYPES = {
    "text": "VARCHAR",
    "timestamp": "TIMESTAMP_MS",
    "money": "DOUBLE",
    "quantity": "DOUBLE",
    "text_map": "MAP(VARCHAR, VARCHAR)",
    "money_map": "MAP(VARCHAR, DOUBLE)",
}


@dataclass(frozen=True, slots=True)
class SampleLayout:
    """How the export is configured at AWS; CUR 1 in Parquet always overwrites, as there.

    ``compression`` is for CSV only. ``bucket`` is the name written into manifests.
    ``files`` is the number of data files of a delivery.
    """

    cur_version: str = "v1"
    export_format: str = "csv"
    compression: str = "gzip"
    versioning: str = "create_new"
    prefix: str = "cur-reports"
    export_name: str = "monthly-cur"
    bucket: str = "sample-bucket"
    payer_account: str = "012345678910"
    currency: str = "USD"
    files: int = 2

    def __post_init__(self) -> None:
        """Refuse what AWS does not offer."""
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
    def overwrites(self) -> bool:
        """Whether a refresh is written over the one before."""
        v1_parquet = self.cur_version == "v1" and self.export_format == "parquet"
        return v1_parquet or self.versioning == "overwrite"


@dataclass(frozen=True, slots=True)
class SampleDelivery:
    """What one delivery holds. Sums are exact, per currency; ``bytes`` are of the data files."""

    period: BillingPeriod
    delivery_id: str
    manifest_key: str
    data_keys: tuple[str, ...]
    rows: int
    bytes: int
    unblended: dict[str, Decimal]
    amortized: dict[str, Decimal]
    line_item_types: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the export; ``source`` is the column of the line items it shows."""

    name: str
    kind: str
    source: str


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
    has_project_tag: bool

    def digest(self, *parts: object) -> str:
        """Return 64 hex digits that stand for the parts."""
        return hashlib.sha256(repr([str(part) for part in parts]).encode()).hexdigest()

    @property
    def delivered_at(self) -> datetime:
        """When AWS would have written it, UTC: three refreshes a day after the month."""
        jitter = int(self.digest("time", self.period, self.seed)[:4], 16) % 14_400
        return self.period.end + timedelta(hours=8 * self.refresh, seconds=jitter)

    @property
    def uuid(self) -> str:
        """An id that no other delivery has."""
        return str(uuid.UUID(self.digest(self)[:32], version=4))

    def variables(self) -> dict[str, object]:
        """Return what ``sample.sql`` reads."""
        first, period = self.first, self.period
        months = (period.year - first.year) * 12 + period.month - first.month
        return {
            "payer_account": self.layout.payer_account,
            "currency": self.layout.currency,
            "seed": self.seed,
            "refresh": self.refresh,
            "period_start": period.start.replace(tzinfo=None),
            "period_end": period.end.replace(tzinfo=None),
            "commitment_start": first.shift(months // 12 * 12).start.replace(tzinfo=None),
            "is_purchase": months % 12 == 0,
            "is_invoiced": self.is_invoiced,
            "has_project_tag": self.has_project_tag,
            **self._row_budget(),
        }

    def _row_budget(self) -> dict[str, int]:
        """Share out the rows; commitments are charged by hour, by day or once, as rows allow.

        About an eighth of the rows are under a Savings Plan and a twentieth under reservations.
        """
        rows, hours = self.rows, (self.period.end - self.period.start).days * 24
        slot_hours = hours if rows < _DAILY_FROM else 24 if rows < _HOURLY_FROM else 1
        slots = hours // slot_hours
        fleet, reserved = max(6, rows // 8 // slots), max(3, rows // 20 // slots)
        usage = max(50, rows - slots * (fleet + reserved + 8) - 30)
        return {
            "hours": hours,
            "slot_hours": slot_hours,
            "slots": slots,
            "fleet_size": fleet,
            "reserved_size": reserved,
            "usage_rows": usage + usage * self.refresh // 100,
            "pool_size": max(3, min(300, rows // 20_000)),
        }


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one delivery goes. The first manifest is the one that is kept up to date."""

    delivery_id: str
    data_keys: tuple[str, ...]
    manifest_keys: tuple[str, ...]


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
    """Write one delivery for every period into the folder ``out``, as into a bucket.

    ``rows`` is the approximate number of line items of a period, at least 200. Commitments
    are bought in the first of ``periods`` and every twelve months after; the last is still
    open, without invoice, unless ``final``. A higher ``refresh`` is a later delivery: a
    hundredth of the usage goes, other comes, some is rated anew. ``only`` limits what is
    written to some of the periods, so that one is refreshed as a part of the same sample.
    """
    layout = layout or SampleLayout()
    ordered = sorted(periods)
    _write_text(out, _join(layout.prefix, "aws-programmatic-access-test-object"), "")
    orders = [
        _Order(
            period=period,
            first=ordered[0],
            layout=layout,
            rows=rows,
            seed=seed,
            refresh=refresh,
            is_invoiced=final or period != ordered[-1],
            has_project_tag=period >= ordered[len(ordered) // 2],
        )
        for period in ordered
    ]
    return [_write_delivery(out, order) for order in orders if only is None or order.period in only]


def _write_delivery(out: Path, order: _Order) -> SampleDelivery:
    """Generate one delivery and write its data files, then its manifests, as AWS does."""
    place, layout = _place(order), order.layout
    with _line_items(order) as con:
        columns = _columns(con, layout.cur_version)
        totals = con.execute("FROM type_total").fetchall()
        rows = sum(total[1] for total in totals)
        _write_data(con, out, place.data_keys, _projection(columns, layout), rows)
    decoys = _write_decoys(out, place, layout)
    manifest = _manifest_v1 if layout.cur_version == "v1" else _manifest_v2
    text = json.dumps(manifest(order, place, columns, decoys), indent=2) + "\n"
    for key in reversed(place.manifest_keys):
        _write_text(out, key, text)
    return SampleDelivery(
        period=order.period,
        delivery_id=place.delivery_id,
        manifest_key=place.manifest_keys[0],
        data_keys=place.data_keys,
        rows=rows,
        bytes=sum((out / key).stat().st_size for key in place.data_keys),
        unblended={layout.currency: sum((total[2] for total in totals), Decimal(0))},
        amortized={layout.currency: sum((total[3] for total in totals), Decimal(0))},
        line_item_types={total[0]: total[1] for total in totals},
    )


@contextmanager
def _line_items(order: _Order) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database in memory that holds one delivery's line items.

    One thread per connection keeps the order of rows; data files use a connection each.
    """
    with duckdb.connect(":memory:") as con:
        con.execute("SET threads = 1").fetchall()
        for name, value in order.variables().items():
            con.execute(f"SET VARIABLE {name} = ?", [value]).fetchall()
        for script in ("sample_catalog.sql", "sample.sql"):
            text = files(__package__).joinpath(script).read_text(encoding="utf-8")
            for statement in con.extract_statements(text):
                con.execute(statement).fetchall()
        yield con


def _columns(con: duckdb.DuckDBPyConnection, version: str) -> list[_Column]:
    """Return the columns of the export, in the order of the contract, tags last.

    CUR 1 has a product column or tag only when a line item has it, and no columns for
    discounts and split costs, which this account does not use. CUR 2.0 always has all.
    """
    present = {str(row[0]) for row in con.execute("DESCRIBE line_item").fetchall()}
    named = [(column.original, column.kind) for column in read_contract(version).values()]
    if version == "v1":
        named += [(tag, "text") for tag in _TAGS]
        named = [
            (name, kind)
            for name, kind in named
            if aws_column_name(name) in present or not _may_be_absent(name)
        ]
    spelled = [_Column(name, kind, aws_column_name(name)) for name, kind in named]
    return [c if c.source in present else replace(c, source="NULL") for c in spelled]


def _may_be_absent(name: str) -> bool:
    return name in _TAGS or any(part in name for part in _OPTIONAL_AT_AWS)


def _projection(columns: Sequence[_Column], layout: SampleLayout) -> str:
    """Spell the line items as the export does. Identifiers come from the contract alone."""
    v1, parquet = layout.cur_version == "v1", layout.export_format == "parquet"
    return ", ".join(
        f"{_expression(column, v1=v1, parquet=parquet)} AS "
        f'"{aws_column_name(column.name) if v1 and parquet else column.name}"'
        for column in columns
    )


def _expression(column: _Column, *, v1: bool, parquet: bool) -> str:
    """Spell one value. AWS leaves empty text, not NULL, in the Parquet files of CUR 1."""
    if parquet:
        value = f"CAST({column.source} AS {_PARQUET_TYPES[column.kind]})"
        return f"coalesce({value}, '')" if v1 and column.kind == "text" else value
    if column.kind.endswith("_map"):
        return f"CAST(to_json({column.source}) AS VARCHAR)"
    return column.source


def _write_data(
    con: duckdb.DuckDBPyConnection, out: Path, keys: Sequence[str], projection: str, rows: int
) -> None:
    """Write the data files, each an equal stretch of the line items, side by side."""
    bounds = [rows * part // len(keys) for part in range(len(keys) + 1)]
    with ThreadPoolExecutor(os.cpu_count()) as writers:
        writing = [
            writers.submit(_write_file, con.cursor(), out / key, projection, stretch)
            for key, stretch in zip(keys, pairwise(bounds), strict=True)
        ]
        for file in writing:
            file.result()


def _write_file(
    con: duckdb.DuckDBPyConnection, path: Path, projection: str, stretch: tuple[int, int]
) -> None:
    """Write one data file, replacing it whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plain, packed = path.with_name(f"{path.name}.plain"), path.with_name(f"{path.name}.packed")
    form = _PARQUET if path.suffix == ".parquet" else _CSV
    con.execute(
        f"COPY (SELECT {projection} FROM line_item "
        f"WHERE line_number >= ? AND line_number < ?) TO ? ({form})",
        [*stretch, str(plain)],
    ).fetchall()
    if path.suffix not in (".gz", ".zip"):
        plain.replace(path)
        return
    _compress(plain, packed, path.name)
    packed.replace(path)
    plain.unlink()


def _compress(plain: Path, packed: Path, name: str) -> None:
    """Compress a CSV file as AWS does, with no time in the archive."""
    with plain.open("rb") as source, packed.open("wb") as target:
        if name.endswith(".gz"):
            with gzip.GzipFile("", "wb", 1, target, mtime=0) as archive:
                shutil.copyfileobj(source, archive, 1 << 20)
            return
        with (
            zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as bundle,
            bundle.open(name.removesuffix(".zip"), "w", force_zip64=True) as entry,
        ):
            shutil.copyfileobj(source, entry, 1 << 20)


def _place(order: _Order) -> _Place:
    """Name the delivery and its keys."""
    layout, period = order.layout, order.period
    export = _join(layout.prefix, layout.export_name)
    if layout.cur_version == "v2":
        folder = f"{order.delivered_at:%Y-%m-%dT%H:%M:%S.000Z}-{order.uuid}"
        data, manifests = (f"{export}/{part}/BILLING_PERIOD={period}" for part in _V2_PARTS)
        return _keys(layout, order.uuid, folder, data, manifests)
    manifests = f"{export}/{period.start:%Y%m%d}-{period.end:%Y%m%d}"
    if layout.export_format == "parquet":
        data = f"{export}/{layout.export_name}/year={period.year}/month={period.month}"
        place = _keys(layout, order.uuid, "", data, manifests)
        copy = f"{data}/{layout.export_name}-Manifest.json"
        return replace(place, manifest_keys=(*place.manifest_keys, copy))
    assembly = order.uuid if layout.overwrites else f"{order.delivered_at:%Y%m%dT%H%M%SZ}"
    return _keys(layout, assembly, assembly, manifests, manifests)


def _keys(layout: SampleLayout, delivery_id: str, folder: str, data: str, manifests: str) -> _Place:
    """Return the keys of data files and manifests, below ``folder`` when nothing is overwritten."""
    manifest = f"{layout.export_name}-Manifest.json"
    copies = [] if layout.overwrites else [f"{manifests}/{folder}/{manifest}"]
    place = data if layout.overwrites else f"{data}/{folder}"
    return _Place(
        delivery_id,
        tuple(
            f"{place}/{layout.export_name}-{number:05}{layout.suffix}"
            for number in range(1, layout.files + 1)
        ),
        (f"{manifests}/{manifest}", *copies),
    )


def _manifest_v1(
    order: _Order, place: _Place, columns: Sequence[_Column], decoys: Sequence[tuple[str, str]]
) -> dict[str, object]:
    layout, period = order.layout, order.period
    parquet = layout.export_format == "parquet"
    return {
        "assemblyId": place.delivery_id,
        "account": layout.payer_account,
        "columns": [
            {"category": category, "name": name, "type": _v1_type(column)}
            for column in columns
            for category, _, name in [column.name.partition("/")]
        ],
        "charset": "UTF-8",
        "compression": "Parquet" if parquet else layout.compression.upper(),
        "contentType": "Parquet" if parquet else "text/csv",
        "reportId": order.digest(layout.payer_account, layout.export_name),
        "reportName": layout.export_name,
        "billingPeriod": {
            "start": f"{period.start:%Y%m%dT%H%M%S.000Z}",
            "end": f"{period.end:%Y%m%dT%H%M%S.000Z}",
        },
        "bucket": layout.bucket,
        "reportKeys": list(place.data_keys),
        "additionalArtifactKeys": [{"artifactType": kind, "name": key} for kind, key in decoys],
    }


def _v1_type(column: _Column) -> str:
    if column.name == "identity/TimeInterval":
        return "Interval"
    word = _V1_TYPES.get(column.kind, "BigDecimal")
    required = column.name in _REQUIRED or column.kind == "timestamp"
    return word if required else f"Optional{word}"


def _manifest_v2(
    order: _Order, place: _Place, columns: Sequence[_Column], _decoys: Sequence[tuple[str, str]]
) -> dict[str, object]:
    layout = order.layout
    export = uuid.UUID(order.digest(layout.payer_account, layout.export_name)[:32], version=4)
    return {
        "executionId": place.delivery_id,
        "exportArn": f"arn:aws:bcm-data-exports:us-east-1:{layout.payer_account}:export/"
        f"{layout.export_name}-{export}",
        "columns": [
            {"name": column.name, "type": _V2_TYPES.get(column.kind, "double")}
            for column in columns
        ],
        "dataFiles": [f"s3://{layout.bucket}/{key}" for key in place.data_keys],
    }


def _write_decoys(out: Path, place: _Place, layout: SampleLayout) -> list[tuple[str, str]]:
    """Write what AWS leaves beside a CUR 1 delivery; return artifact types and keys."""
    if layout.cur_version == "v2":
        return []
    name = layout.export_name
    if layout.export_format == "csv":
        urls = [f"s3://{layout.bucket}/{key}" for key in place.data_keys]
        key = f"{place.data_keys[0].rpartition('/')[0]}/{name}-RedshiftManifest.json"
        entries = [{"url": url, "mandatory": True} for url in urls]
        _write_text(out, key, json.dumps({"entries": entries}) + "\n")
        return [("RedshiftManifest", key)]
    folder = place.manifest_keys[0].rpartition("/")[0]
    key = f"{folder}/{name}-create-table.sql"
    _write_text(out, key, f"CREATE EXTERNAL TABLE IF NOT EXISTS {aws_column_name(name)} ...;\n")
    _write_text(out, f"{folder}/crawler-cfn.yml", "AWSTemplateFormatVersion: 2010-09-09\n")
    status = out / _join(layout.prefix, name, "cost_and_usage_data_status", "status.parquet")
    status.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(":memory:") as con:
        con.execute("COPY (SELECT 'READY' AS status) TO ? (FORMAT parquet)", [str(status)])
    return [("AthenaCommands", key)]


def _write_text(out: Path, key: str, text: str) -> None:
    path = out / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _join(*parts: str) -> str:
    """Join the parts of a key; a folder cannot hold the empty ones that S3 can."""
    return "/".join(part.strip("/") for part in parts if part.strip("/"))
