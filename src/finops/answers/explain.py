"""``explain``: a charge back to its line item, its files and the rules that made its costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from finops.columns import PERIOD_COLUMN
from finops.config import Export
from finops.datadir import DataDir
from finops.errors import LocalError
from finops.focus.charges import Bill
from finops.focus.rules import COSTS, Rule, find_rule
from finops.focus.versions import TABLE
from finops.sql import Connection, identifier, query
from finops.store.database import reading
from finops.store.dataset import Dataset, stored_exports
from finops.store.ledger import Load, current_loads
from finops.vendors import find_vendor

SHOWN = 3
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Charge:
    """A charge: its columns that are not NULL, and the rule behind each cost."""

    columns: Record
    rules: dict[str, Rule]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A source row: the line items of that id, as the vendor wrote them, and their charges.

    Line items have the vendor's names; cells that are empty are left out.
    """

    source_row_id: str
    export: Export
    load: Load
    line_items: list[Record]
    charges: list[Charge]


def explain(data: DataDir, row_id: str, name: str | None = None) -> tuple[list[Explanation], int]:
    """Explain the source rows called ``row_id``, or whose ids begin so.

    Returns the first of them, and how many there are.

    Raises:
        LocalError: there is none, or the table of its line items was dropped by hand.
    """
    with reading(data) as db:
        loads = {
            load.load_id: (Dataset(db, export), load)
            for export in stored_exports(db, name)
            for load in current_loads(db, export.dataset).values()
        }
        sql = files(__package__).joinpath("explain.sql").read_text("utf-8")
        values = {"row_id": row_id, "load_ids": list(loads), "limit": SHOWN}
        rows = query(db, sql, values)
        if not rows:
            raise LocalError(
                f"no charge has an x_SourceRowId that is or begins with {row_id!r}",
                code="no-such-row",
                do='finops sql "SELECT x_SourceRowId, BilledCost FROM focus.cost_and_usage"',
            )
        return [_explain(*loads[load_id], found) for load_id, found, _ in rows], rows[0][2]


def _explain(dataset: Dataset, load: Load, row_id: str) -> Explanation:
    bill = dataset.bill(find_vendor(dataset.export.vendor), load)
    return Explanation(
        row_id,
        dataset.export,
        load,
        _line_items(dataset.db, bill, row_id),
        _charges(dataset.db, bill, row_id),
    )


def _line_items(db: Connection, bill: Bill, row_id: str) -> list[Record]:
    columns = {original: column.name for original, column in bill.columns.items()}
    named = bill.vendor.source_row_id(bill.shape, bill.columns)
    where = f"{bill.table} WHERE {PERIOD_COLUMN} = ? AND {named} = ?"
    return _records(db, columns, where, [str(bill.period), row_id])


def _charges(db: Connection, bill: Bill, row_id: str) -> list[Charge]:
    columns = {name: name for name, *_ in query(db, f"DESCRIBE {TABLE}")}
    where = f"{TABLE} WHERE x_LoadId = ? AND x_SourceRowId = ? ORDER BY x_RowKind"
    return [
        Charge(record, _rules(bill.vendor.mapping(), record["x_RowKind"]))
        for record in _records(db, columns, where, [bill.load_id, row_id])
    ]


def _rules(mapping: str, kind: str) -> dict[str, Rule]:
    rules = {column: find_rule(mapping, column, kind) for column in COSTS}
    return {column: rule for column, rule in rules.items() if rule}


def _records(
    db: Connection, columns: Mapping[str, str], where: str, values: list[str]
) -> list[Record]:
    """Read the columns, given by the names they are to have, without what is empty."""
    cells = ", ".join(map(identifier, columns.values()))
    return [
        {
            name: cell
            for name, cell in zip(columns, row, strict=True)
            if cell is not None and cell != {}
        }
        for row in query(db, f"SELECT {cells} FROM {where}", values)
    ]
