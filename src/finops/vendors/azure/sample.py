"""Sample exports as Azure would deliver them: actual and amortized cost, EA and MCA.

The line items come from ``sample.sql``; here they are spelled as exports and laid out as blobs.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from importlib.resources import files
from typing import ClassVar

from finops import sampling
from finops.sampling import Keys, Order, Rows, join_key, make_uuid
from finops.sql import identifier
from finops.vendors.azure.contract import COSTS, read_contract, squashed

_FIXED_ROWS = 160
_PARQUET_TYPES = {"text": "VARCHAR", "date": "TIMESTAMP", "money": "DECIMAL(38, 20)"}


@dataclass(frozen=True, slots=True)
class SampleLayout(sampling.Layout):
    """How the two exports are configured in Azure; without ``amortized_name`` there is one.

    ``layout`` is the version of the manifest, or ``none``: then an export is one file.
    """

    OFFERS: ClassVar[Mapping[str, Sequence[str]]] = {
        "agreement": ("ea", "mca"),
        "layout": ("2024", "2021", "none"),
        "export_format": ("csv", "parquet"),
        "compression": ("gzip", "none"),
        "versioning": ("create_new", "overwrite"),
    }

    prefix: str = "costs"
    export_name: str = "daily-actual"
    amortized_name: str = "daily-amortized"
    agreement: str = "ea"
    layout: str = "2024"
    account: str = "8611537"

    @property
    def currency(self) -> str:
        """What is billed; prices are in USD."""
        return "EUR" if self.agreement == "mca" else "USD"

    @property
    def exports(self) -> dict[str, str]:
        """The names of the exports by dataset."""
        named = {"ActualCost": self.export_name, "AmortizedCost": self.amortized_name}
        return {dataset: name for dataset, name in named.items() if name}

    def variables(self, order: Order) -> dict[str, object]:
        """Return what the script reads: agreements differ in ids, currency and tags."""
        mca = self.agreement == "mca"
        return {
            "usage_rows": max(order.rows - _FIXED_ROWS, 40) + order.refresh - 1,
            "is_purchase": order.months == 0,
            "is_invoiced": mca and order.is_invoiced,
            "account": f"{self.account}:7c05_2019-05-31" if mca else self.account,
            "profile": f"ABCD-EFGH-{self.account}" if mca else self.account,
            "currency": self.currency,
            "rate": "0.9217" if mca else "1",
            "tags_open": "{" if mca else "",
            "tags_close": "}" if mca else "",
            "datasets": list(self.exports),
        }

    def write(self, rows: Rows) -> Keys:
        """Write a run of each export."""
        runs = [_write_run(rows, self, dataset, name) for dataset, name in self.exports.items()]
        return Keys(
            "+".join(run.delivery_id for run in runs),
            [key for run in runs for key in run.data],
            [key for run in runs for key in run.manifests],
        )


DEMO_LAYOUTS: Mapping[str, SampleLayout] = {"default": SampleLayout()}
write_sample = partial(sampling.write_sample, layout=SampleLayout())


def _write_run(rows: Rows, layout: SampleLayout, dataset: str, name: str) -> Keys:
    """Write one run of one export, its manifest last."""
    if layout.versioning == "overwrite":
        shutil.rmtree(rows.out / _month_folder(layout, rows.order, name), ignore_errors=True)
    keys = _keys(layout, rows.order, dataset, name)
    counts = rows.write(keys.data, _projection(rows.columns(), layout), identifier(dataset))
    for manifest in keys.manifests:
        body = _manifest(rows, layout, dataset, name, dict(zip(keys.data, counts, strict=True)))
        rows.write_text(manifest, json.dumps(body, indent=2))
    return keys


def _submitted_at(order: Order) -> datetime:
    """When Azure would have begun the run, UTC: one run a day after the month."""
    return order.period.end + timedelta(days=order.refresh, hours=4, minutes=27)


def _month_folder(layout: SampleLayout, order: Order, name: str) -> str:
    """Return the folder of a month, from its first day to its last."""
    last = order.period.end - timedelta(days=1)
    return join_key(layout.prefix, name, f"{order.period.start:%Y%m%d}-{last:%Y%m%d}")


def _keys(layout: SampleLayout, order: Order, dataset: str, name: str) -> Keys:
    month, run_id = _month_folder(layout, order, name), make_uuid(layout, order, dataset)
    if layout.layout == "none":
        return Keys(run_id, [f"{month}/{name}_{run_id}{layout.suffix}"])
    folder = f"{month}/{_submitted_at(order):%Y%m%d%H%M}/{run_id}"
    form = "{:06}" if layout.layout == "2021" else "part_0_{:04}"
    names = [form.format(number) + layout.suffix for number in range(1, layout.files + 1)]
    return Keys(run_id, [f"{folder}/{name}" for name in names], [f"{folder}/manifest.json"])


def _projection(present: set[str], layout: SampleLayout) -> str:
    """Spell the line items as the agreement's exports do."""
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
    rows: Rows, layout: SampleLayout, dataset: str, name: str, counts: dict[str, int]
) -> dict[str, object]:
    sizes = {key: (rows.out / key).stat().st_size for key in counts}
    blobs = [
        {"blobName": key, "byteCount": sizes[key], "dataRowCount": count}
        for key, count in counts.items()
    ]
    sums = {
        "blobCount": len(blobs),
        "byteCount": sum(sizes.values()),
        "dataRowCount": sum(counts.values()),
    }
    if layout.layout == "2021":
        more = [blob | {"headerRowCount": 1} for blob in blobs]
        return {"manifestVersion": "2021-01-01", "dataFormat": "csv", **sums, "blobs": more}
    return {
        "manifestVersion": "2024-04-01",
        **sums,
        **_manifest_sections(layout, rows.order, dataset, name),
        "blobs": blobs,
    }


def _manifest_sections(
    layout: SampleLayout, order: Order, dataset: str, name: str
) -> dict[str, object]:
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
            "submittedTime": f"{_submitted_at(order):%Y-%m-%dT%H:%M:%S}.5234447Z",
            "runId": make_uuid(layout, order, dataset),
            "startDate": f"{order.period.start:%Y-%m-%dT00:00:00}",
            "endDate": f"{order.period.end - timedelta(days=1):%Y-%m-%dT00:00:00Z}",
        },
    }


def _mode(layout: SampleLayout) -> str:
    return "Gzip" if layout.compression == "gzip" else "None"
