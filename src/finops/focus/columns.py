"""The columns of FOCUS, by version. ``columns.csv`` is the list; here is what it means.

Source: FinOps Open Cost and Usage Specification, Cost and Usage dataset, 1.0 to 1.4.
``first`` and ``last`` are the versions that have the column; 1.3 is the last with
``ProviderName`` and ``PublisherName``. Nullability is that of 1.2, or of the version that
brought the column.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

VERSIONS = ("1.0", "1.2", "1.3", "1.4")
# Costs and unit prices are money; the quantities are DOUBLE, as most vendors deliver them.
TYPES = {
    "text": "VARCHAR",
    "money": "DECIMAL(38,24)",
    "quantity": "DOUBLE",
    "timestamp": "TIMESTAMP",
    "json": "JSON",
}


@dataclass(frozen=True, slots=True)
class FocusColumn:
    """A column of the specification; ``allowed`` is empty where any value is."""

    name: str
    kind: str
    nullable: bool
    allowed: tuple[str, ...]
    first: str
    last: str

    @property
    def type(self) -> str:
        """The column's type in the store."""
        return TYPES[self.kind]

    def is_in(self, version: str) -> bool:
        """Tell whether the version has the column; versions sort as text."""
        return self.first <= version <= (self.last or version)


@cache
def focus_columns(version: str | None = None) -> tuple[FocusColumn, ...]:
    """Return the columns of a version in alphabetical order, or all that any version has."""
    text = files(__package__).joinpath("columns.csv").read_text("utf-8")
    columns = (
        FocusColumn(
            row["column"],
            row["kind"],
            row["nullable"] == "yes",
            tuple(filter(None, row["allowed"].split(";"))),
            row["first"],
            row["last"],
        )
        for row in csv.DictReader(text.splitlines())
    )
    return tuple(
        sorted(
            (column for column in columns if version is None or column.is_in(version)),
            key=lambda column: column.name,
        )
    )


# What we add to every charge, and what of the vendors' all of them may fill. Vendors' further
# columns come beside these.
OWN_COLUMNS = {
    "x_Vendor": "VARCHAR",
    "x_Export": "VARCHAR",
    "x_BillingPeriod": "VARCHAR",
    "x_LoadId": "VARCHAR",
    "x_SourceRowId": "VARCHAR",
    "x_RowKind": "VARCHAR",
    "x_LineItemType": "VARCHAR",
    "x_ServiceCode": "VARCHAR",
    "x_UsageType": "VARCHAR",
    "x_Operation": "VARCHAR",
    "x_BillType": "VARCHAR",
    "x_BillingEntity": "VARCHAR",
    "x_InvoicingEntity": "VARCHAR",
    "x_CostCategories": "JSON",
    "x_Discounts": "JSON",
    "x_NetBasis": "VARCHAR",
    "x_SplitCost": "DECIMAL(38,24)",
    "x_SplitUnusedCost": "DECIMAL(38,24)",
    "x_SourceFocusVersion": "VARCHAR",
}
