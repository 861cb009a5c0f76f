"""Sample FOCUS files: a data platform and a model gateway that bill in FOCUS themselves.

A folder plays the bucket, with a folder per month and no manifest, as most of them deliver. The
charges come from ``sample.sql``. Nothing reads a clock: the same arguments give the same bytes.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from finops import sampling
from finops.focus.columns import VERSIONS, FocusColumn, focus_columns
from finops.sampling import Keys, Layout, Order, Rows, digest, join_key
from finops.sql import identifier

_FIXED_ROWS = 70


@dataclass(frozen=True, slots=True)
class SampleLayout(Layout):
    """How the files are written; ``focus_version`` decides which columns there are."""

    OFFERS: ClassVar[Mapping[str, Sequence[str]]] = {
        "focus_version": VERSIONS,
        "export_format": ("csv", "parquet", "json"),
        "compression": ("gzip", "none"),
        "versioning": ("overwrite",),
    }

    prefix: str = "focus"
    export_name: str = "lakehouse"
    versioning: str = "overwrite"
    focus_version: str = "1.2"
    account: str = "LH-2201"

    def variables(self, order: Order) -> dict[str, object]:
        """Return what the script reads."""
        return {
            "usage_rows": max(order.rows - _FIXED_ROWS, 40) + order.refresh - 1,
            "is_purchase": order.months == 0,
            "account": self.account,
        }

    def write(self, rows: Rows) -> Keys:
        """Write the files of a month in place of those of an earlier delivery."""
        folder = join_key(self.prefix, self.export_name, str(rows.order.period))
        shutil.rmtree(rows.out / folder, ignore_errors=True)
        keys = [f"{folder}/part-{number:04}{self.suffix}" for number in range(self.files)]
        present = rows.columns()
        columns = focus_columns(self.focus_version)
        cells = [f"{_cell(each, present)} AS {identifier(each.name)}" for each in columns]
        rows.write(keys, ", ".join([*cells, "x_Workspace"]))
        return Keys(digest(self, rows.order)[:16], keys)


def _cell(column: FocusColumn, present: set[str]) -> str:
    kind = "VARCHAR" if column.kind == "json" else column.type
    return f"CAST({identifier(column.name) if column.name in present else 'NULL'} AS {kind})"


DEMO_LAYOUTS: Mapping[str, SampleLayout] = {"default": SampleLayout()}
write_sample = partial(sampling.write_sample, layout=SampleLayout())
