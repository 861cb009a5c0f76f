"""Sample exports as AWS would deliver them: Cost and Usage Report 1 and CUR 2.0.

The line items come from ``sample_catalog.sql`` (what is bought) and ``sample.sql`` (the line
items); here they are spelled as an export and laid out as keys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import ClassVar

import duckdb

from finops import sampling
from finops.sampling import Keys, Order, Rows, digest, join_key, make_uuid
from finops.vendors.aws.contract import read_contract
from finops.vendors.aws.names import aws_column_name

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
_PARQUET_TYPES = {
    "text": "VARCHAR",
    "timestamp": "TIMESTAMP_MS",
    "money": "DOUBLE",
    "quantity": "DOUBLE",
    "text_map": "MAP(VARCHAR, VARCHAR)",
    "money_map": "MAP(VARCHAR, DOUBLE)",
}


@dataclass(frozen=True, slots=True)
class SampleLayout(sampling.Layout):
    """How the export is configured at AWS; CUR 1 in Parquet always overwrites, as there.

    ``bucket`` is the name written into manifests; ``files`` is the number of data files.
    """

    OFFERS: ClassVar[Mapping[str, Sequence[str]]] = {
        "cur_version": ("v1", "v2"),
        "export_format": ("csv", "parquet"),
        "compression": ("gzip", "zip", "none"),
        "versioning": ("create_new", "overwrite"),
    }
    SCRIPTS: ClassVar[Sequence[str]] = ("sample_catalog.sql", "sample.sql")

    prefix: str = "cur-reports"
    export_name: str = "monthly-cur"
    cur_version: str = "v1"
    bucket: str = "sample-bucket"
    payer_account: str = "012345678910"
    currency: str = "USD"

    @property
    def overwrites(self) -> bool:
        """Whether a refresh is written over the one before."""
        v1_parquet = self.cur_version == "v1" and self.export_format == "parquet"
        return v1_parquet or self.versioning == "overwrite"

    def variables(self, order: Order) -> dict[str, object]:
        """Return what the scripts read: commitments last a year, rows are shared out."""
        year = order.first.shift(order.months // 12 * 12)
        return {
            "payer_account": self.payer_account,
            "currency": self.currency,
            "commitment_start": year.start.replace(tzinfo=None),
            "is_purchase": order.months % 12 == 0,
            **_row_budget(order),
        }

    def write(self, rows: Rows) -> Keys:
        """Write the data files of one delivery, then its manifests, as AWS does."""
        keys = _keys(self, rows.order)
        columns = _columns(rows.columns(), self.cur_version)
        rows.write_text(join_key(self.prefix, "aws-programmatic-access-test-object"), "")
        rows.write(keys.data, _projection(columns, self))
        decoys = _write_decoys(rows, keys, self)
        manifest = _manifest_v1 if self.cur_version == "v1" else _manifest_v2
        text = json.dumps(manifest(self, rows.order, keys, columns, decoys), indent=2) + "\n"
        for key in reversed(keys.manifests):
            rows.write_text(key, text)
        return keys


DEMO_LAYOUTS: Mapping[str, SampleLayout] = {
    "default": SampleLayout(),
    "second-payer": SampleLayout(
        cur_version="v2",
        export_format="parquet",
        versioning="overwrite",
        export_name="data-export",
        payer_account="210987654321",
    ),
}
write_sample = partial(sampling.write_sample, layout=SampleLayout())


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the export; ``source`` is the column of the line items it shows."""

    name: str
    kind: str
    source: str


def _row_budget(order: Order) -> dict[str, int]:
    """Share out the rows; commitments are charged by hour, by day or once, as rows allow.

    About an eighth of the rows are under a Savings Plan and a twentieth under reservations.
    """
    rows, hours = order.rows, (order.period.end - order.period.start).days * 24
    slot_hours = hours if rows < _DAILY_FROM else 24 if rows < _HOURLY_FROM else 1
    slots = hours // slot_hours
    fleet, reserved = max(6, rows // 8 // slots), max(3, rows // 20 // slots)
    usage = max(50, rows - slots * (fleet + reserved + 8) - 30)
    return {
        "slot_hours": slot_hours,
        "slots": slots,
        "fleet_size": fleet,
        "reserved_size": reserved,
        "usage_rows": usage + usage * order.refresh // 100,
        "pool_size": max(3, min(300, rows // 20_000)),
    }


def _columns(present: set[str], version: str) -> list[_Column]:
    """Return the columns of the export, in the order of the contract, tags last.

    CUR 1 has a product column or tag only when a line item has it, and no columns for
    discounts and split costs, which this account does not use. CUR 2.0 always has all.
    """
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


def _keys(layout: SampleLayout, order: Order) -> Keys:
    """Name the delivery and its keys."""
    period, execution = order.period, make_uuid(layout, order)
    export = join_key(layout.prefix, layout.export_name)
    if layout.cur_version == "v2":
        folder = f"{_delivered_at(order):%Y-%m-%dT%H:%M:%S.000Z}-{execution}"
        data, manifests = (f"{export}/{part}/BILLING_PERIOD={period}" for part in _V2_PARTS)
        return _numbered(layout, execution, folder, data, manifests)
    manifests = f"{export}/{period.start:%Y%m%d}-{period.end:%Y%m%d}"
    if layout.export_format == "parquet":
        data = f"{export}/{layout.export_name}/year={period.year}/month={period.month}"
        keys = _numbered(layout, execution, "", data, manifests)
        copy = f"{data}/{layout.export_name}-Manifest.json"
        return replace(keys, manifests=(*keys.manifests, copy))
    assembly = execution if layout.overwrites else f"{_delivered_at(order):%Y%m%dT%H%M%SZ}"
    return _numbered(layout, assembly, assembly, manifests, manifests)


def _delivered_at(order: Order) -> datetime:
    """When AWS would have written it, UTC: three refreshes a day after the month."""
    jitter = int(digest("time", order.period, order.seed)[:4], 16) % 14_400
    return order.period.end + timedelta(hours=8 * order.refresh, seconds=jitter)


def _numbered(
    layout: SampleLayout, delivery_id: str, folder: str, data: str, manifests: str
) -> Keys:
    """Return the keys of data files and manifests, below ``folder`` when nothing is overwritten."""
    manifest = f"{layout.export_name}-Manifest.json"
    copies = [] if layout.overwrites else [f"{manifests}/{folder}/{manifest}"]
    place = data if layout.overwrites else f"{data}/{folder}"
    return Keys(
        delivery_id,
        [
            f"{place}/{layout.export_name}-{number:05}{layout.suffix}"
            for number in range(1, layout.files + 1)
        ],
        (f"{manifests}/{manifest}", *copies),
    )


def _manifest_v1(
    layout: SampleLayout,
    order: Order,
    keys: Keys,
    columns: Sequence[_Column],
    decoys: Sequence[tuple[str, str]],
) -> dict[str, object]:
    period = order.period
    parquet = layout.export_format == "parquet"
    return {
        "assemblyId": keys.delivery_id,
        "account": layout.payer_account,
        "columns": [
            {"category": category, "name": name, "type": _v1_type(column)}
            for column in columns
            for category, _, name in [column.name.partition("/")]
        ],
        "charset": "UTF-8",
        "compression": "Parquet" if parquet else layout.compression.upper(),
        "contentType": "Parquet" if parquet else "text/csv",
        "reportId": digest(layout.payer_account, layout.export_name),
        "reportName": layout.export_name,
        "billingPeriod": {
            "start": f"{period.start:%Y%m%dT%H%M%S.000Z}",
            "end": f"{period.end:%Y%m%dT%H%M%S.000Z}",
        },
        "bucket": layout.bucket,
        "reportKeys": list(keys.data),
        "additionalArtifactKeys": [{"artifactType": kind, "name": key} for kind, key in decoys],
    }


def _v1_type(column: _Column) -> str:
    if column.name == "identity/TimeInterval":
        return "Interval"
    word = _V1_TYPES.get(column.kind, "BigDecimal")
    required = column.name in _REQUIRED or column.kind == "timestamp"
    return word if required else f"Optional{word}"


def _manifest_v2(
    layout: SampleLayout,
    _order: Order,
    keys: Keys,
    columns: Sequence[_Column],
    _decoys: Sequence[tuple[str, str]],
) -> dict[str, object]:
    export = make_uuid(layout.payer_account, layout.export_name)
    return {
        "executionId": keys.delivery_id,
        "exportArn": f"arn:aws:bcm-data-exports:us-east-1:{layout.payer_account}:export/"
        f"{layout.export_name}-{export}",
        "columns": [
            {"name": column.name, "type": _V2_TYPES.get(column.kind, "double")}
            for column in columns
        ],
        "dataFiles": [f"s3://{layout.bucket}/{key}" for key in keys.data],
    }


def _write_decoys(rows: Rows, keys: Keys, layout: SampleLayout) -> list[tuple[str, str]]:
    """Write what AWS leaves beside a CUR 1 delivery; return artifact types and keys."""
    if layout.cur_version == "v2":
        return []
    name = layout.export_name
    if layout.export_format == "csv":
        urls = [f"s3://{layout.bucket}/{key}" for key in keys.data]
        key = f"{keys.data[0].rpartition('/')[0]}/{name}-RedshiftManifest.json"
        entries = [{"url": url, "mandatory": True} for url in urls]
        rows.write_text(key, json.dumps({"entries": entries}) + "\n")
        return [("RedshiftManifest", key)]
    folder = keys.manifests[0].rpartition("/")[0]
    key = f"{folder}/{name}-create-table.sql"
    rows.write_text(key, f"CREATE EXTERNAL TABLE IF NOT EXISTS {aws_column_name(name)} ...;\n")
    rows.write_text(f"{folder}/crawler-cfn.yml", "AWSTemplateFormatVersion: 2010-09-09\n")
    status = rows.out / join_key(
        layout.prefix, name, "cost_and_usage_data_status", "status.parquet"
    )
    status.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(":memory:") as con:
        con.execute("COPY (SELECT 'READY' AS status) TO ? (FORMAT parquet)", [str(status)])
    return [("AthenaCommands", key)]
