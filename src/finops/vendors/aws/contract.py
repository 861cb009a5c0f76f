"""The AWS column contracts: what each column is called and which type it is stored in.

The contracts are data: ``cur_v1.csv``, ``cur_v2.csv``, ``focus.csv`` (column and kind).
Sources: CUR data dictionary, Data Exports table dictionary, Athena table definitions.
Kinds ``money`` and ``quantity`` are told apart because only money is always DECIMAL.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from finops.columns import (
    ColumnType,
    DataFileView,
    FileColumn,
    SourceColumn,
    StoredColumn,
    clean_column_name,
    natural_type,
)
from finops.delivery import Delivery
from finops.errors import BadDataError, ConfigError
from finops.vendors.aws.names import aws_column_name

_KINDS = {
    "text": ColumnType.TEXT,
    "timestamp": ColumnType.TIMESTAMP,
    "money": ColumnType.MONEY,
    "text_map": ColumnType.TEXT_MAP,
    "money_map": ColumnType.MONEY_MAP,
}
_FILES = {"v1": "cur_v1.csv", "v2": "cur_v2.csv", "focus": "focus.csv"}
_COSTS = {
    "v1": ("lineItem/UnblendedCost", "lineItem/CurrencyCode"),
    "v2": ("line_item_unblended_cost", "line_item_currency_code"),
    "focus": ("BilledCost", "BillingCurrency"),
}
_CLUSTERING = {
    "v1": ("UsageAccountId", "ProductCode", "UsageType", "ResourceId", "UsageStartDate"),
    "v2": ("usage_account_id", "product_code", "usage_type", "resource_id", "usage_start_date"),
    "focus": ("SubAccountId", "ServiceName", "SkuPriceId", "ResourceId", "ChargePeriodStart"),
}
_LINE_ITEM = {"v1": "lineItem/", "v2": "line_item_", "focus": ""}
_TEXT_CATEGORIES = ("resourcetags/", "costcategory/")


@dataclass(frozen=True, slots=True)
class ContractColumn:
    """A column that AWS documents; ``position`` is its line in the contract."""

    original: str
    kind: str
    position: int


@cache
def read_contract(shape: str) -> dict[str, ContractColumn]:
    """Return the contract of a shape by clean column name."""
    text = files(__package__).joinpath(_FILES[shape]).read_text()
    rows = csv.DictReader(text.splitlines())
    return {
        clean_column_name(row["column"]): ContractColumn(row["column"], row["kind"], position)
        for position, row in enumerate(rows)
    }


def cost_columns(shape: str) -> tuple[str, str]:
    """Return the originals of billed cost and of its currency."""
    return _COSTS[shape]


def clustering(shape: str) -> tuple[str, ...]:
    """Return the originals to sort rows by: account, service, price, resource, time."""
    return tuple(_LINE_ITEM[shape] + name for name in _CLUSTERING[shape])


def row_period(_shape: str, _columns: Mapping[str, StoredColumn]) -> str:
    """Return nothing: manifests tell the billing period, and all rows of a file are of it."""
    return ""


def flattens_records() -> bool:
    """Tell that a record in a cell stays one."""
    return False


def check_columns(delivery: Delivery, columns: Sequence[FileColumn], key: str) -> None:
    """Refuse a file that is no CUR: a wrong delimiter would make one column of all.

    CUR 2.0 has the columns that its query names; the other shapes always have a cost.

    Raises:
        BadDataError: the file lacks what every file of the shape has.
        ConfigError: it is a FOCUS export that was taken for CUR 2.0.
    """
    originals = _tracer(delivery, ()) if delivery.file_format == "parquet" else {}
    names = {clean_column_name(originals.get(column.name, column.name)) for column in columns}
    if delivery.shape == "v2" and "billedcost" in names:
        raise ConfigError(
            "this is a FOCUS export, and its manifest does not say so",
            code="other-shape",
            do='set cur_version = "focus"',
        )
    cost = clean_column_name(cost_columns(delivery.shape)[0])
    known = bool(names & read_contract("v2").keys()) if delivery.shape == "v2" else cost in names
    if not known:
        raise BadDataError(
            f"without the column {cost_columns(delivery.shape)[0]} it is no file of this export",
            code="bad-header",
            where=f"{key}, line 1",
            do="see what lies there; AWS never delivers a file without it",
        )


def describe_columns(
    delivery: Delivery,
    columns: Sequence[FileColumn],
    known_originals: Iterable[str],
    _file: DataFileView | None = None,
) -> tuple[list[SourceColumn], list[str]]:
    """Say what each column of a data file is called at AWS and which type it is stored in.

    ``known_originals`` are those that the dataset already has. Returns notices for tag
    names that cannot be traced back from AWS's Parquet spelling.
    """
    contract = read_contract(delivery.shape)
    trace = _tracer(delivery, known_originals)
    announced = {column.name: column.type for column in delivery.columns}
    described, untraced = [], []
    for column in columns:
        original = trace.get(column.name, column.name)
        known = contract.get(clean_column_name(original))
        described.append(
            SourceColumn(
                column,
                original,
                _stored_type(original, column, known, announced.get(original, "")),
                known.position if known else None,
            )
        )
        if trace and original == column.name and "/" not in original:
            untraced.append(original)
    return described, [f"kept AWS's spelling of {name}" for name in untraced]


def _tracer(delivery: Delivery, known_originals: Iterable[str]) -> dict[str, str]:
    """Map AWS's Parquet spelling to originals.

    The manifest's count first, then known ones, then the contract's. A spelling that two
    originals share (AWS merged those columns) leads back to neither.
    """
    if delivery.shape != "v1" or delivery.file_format != "parquet":
        return {}
    trace: dict[str, str] = {}
    for originals in (
        [column.original for column in read_contract("v1").values()],
        known_originals,
        [column.name for column in delivery.columns],
    ):
        spelled: dict[str, list[str]] = {}
        for original in originals:
            spelled.setdefault(aws_column_name(original), []).append(original)
        for name, candidates in spelled.items():
            trace[name] = candidates[0] if len(candidates) == 1 else name
    return trace


def _stored_type(
    original: str, column: FileColumn, known: ContractColumn | None, announced: str
) -> ColumnType:
    if known and known.kind != "quantity":
        return _KINDS[known.kind]
    if original.lower().startswith(_TEXT_CATEGORIES):
        return ColumnType.TEXT
    if column.physical != "VARCHAR":
        return natural_type(column.physical)
    return ColumnType.MONEY if known else _announced_type(announced)


def _announced_type(announced: str) -> ColumnType:
    """Return the type for a manifest's word; an unknown word is text."""
    word = announced.lower().removeprefix("optional")
    if word in ("bigdecimal", "double", "decimal", "float"):
        return ColumnType.MONEY
    if word in ("datetime", "timestamp"):
        return ColumnType.TIMESTAMP
    return ColumnType.TEXT_MAP if word.startswith("map") else ColumnType.TEXT
