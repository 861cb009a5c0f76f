"""Sample exports as a scheduled query would write them: the detailed export, month by month.

The line items come from ``sample.sql``; here they are written as files below month folders.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from finops import sampling
from finops.sampling import Keys, Order, Rows, join_key, make_uuid
from finops.sql import identifier
from finops.vendors.gcp.contract import USAGE, ContractColumn, read_contract

_FIXED_ROWS = 40


@dataclass(frozen=True, slots=True)
class SampleLayout(sampling.Layout):
    """How the scheduled query writes a month: always anew, into the month's folder.

    Parquet and JSON lines are nested as the table is; CSV has a column for each field.
    """

    OFFERS: ClassVar[Mapping[str, Sequence[str]]] = {
        "export_format": ("parquet", "json", "csv"),
        "compression": ("gzip", "none"),
    }

    prefix: str = "billing"
    export_name: str = "gcp_billing_export_resource_v1_010101_F0FFF0_61C528"
    export_format: str = "parquet"
    account: str = "010101-F0FFF0-61C528"

    @property
    def suffix(self) -> str:
        """How the names of data files end."""
        if self.export_format == "parquet":
            return ".parquet"
        return f".{self.export_format}{'.gz' if self.compression == 'gzip' else ''}"

    def variables(self, order: Order) -> dict[str, object]:
        """Return what the script reads."""
        usage_rows = max(order.rows - _FIXED_ROWS, 40) + order.refresh - 1
        return {"usage_rows": usage_rows, "account": self.account}

    def write(self, rows: Rows) -> Keys:
        """Write the files of a month into its folder, which is emptied before."""
        folder = join_key(self.prefix, self.export_name, f"billing_period={rows.order.period}")
        shutil.rmtree(rows.out / folder, ignore_errors=True)
        keys = [f"{folder}/{number:012}{self.suffix}" for number in range(self.files)]
        rows.write(keys, self._projection())
        return Keys(make_uuid(self, rows.order), keys)

    def _projection(self) -> str:
        if self.export_format == "csv":
            return ", ".join(map(_flat, read_contract(USAGE).values()))
        return "* EXCLUDE (line_number, exact_cost, exact_credits)"


DEMO_LAYOUTS: Mapping[str, SampleLayout] = {"detailed": SampleLayout()}
write_sample = partial(sampling.write_sample, layout=SampleLayout())


def _flat(column: ContractColumn) -> str:
    """Spell a field as a column of CSV; a list is JSON."""
    cell = f"to_json({column.original})" if column.kind == "json" else column.original
    return f"{cell} AS {identifier(column.original)}"
