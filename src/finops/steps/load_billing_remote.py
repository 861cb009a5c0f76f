"""``load-billing-remote``: publish loaded billing periods to a warehouse."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from functools import partial

from finops.columns import PERIOD_COLUMN, START_COLUMN, clean_column_name
from finops.config import Export
from finops.errors import ConfigError, FinopsError
from finops.faults import crash_point
from finops.focus.columns import VERSIONS
from finops.focus.versions import meanings
from finops.period import BillingPeriod
from finops.run import Outcome, PeriodResult, Run
from finops.state import Published
from finops.steps.published import PeriodRows, charges, line_items
from finops.store.database import reading
from finops.warehouses import Publication, Relation, RemakeViews, Table, Warehouse

_CHARGES = "cost_and_usage"
_VIEWS = {version: f"v{version.replace('.', '_')}" for version in VERSIONS}


def load_billing_remote(
    run: Run, export: Export, warehouse: Warehouse, *, focus: bool = False, force: bool = False
) -> list[PeriodResult]:
    """Replace every period whose rows the warehouse does not have yet: line items, or charges.

    Each period is replaced as a whole or not at all, and compared with the store; those of
    other exports stay. A period that fails keeps what was published before.

    Raises:
        ConfigError: the table holds another export's rows, or was made in the other strategy.
    """
    with reading(run.data, allowed_folder=run.data.temporary) as db:
        periods = list((charges if focus else line_items)(db, export))
        if not periods:
            return []
        table = _table(warehouse, export, periods[0].rows.order, focus=focus)
        there = warehouse.catalog(table.dataset)
        ledger = warehouse.ledger(table.dataset)
        _refuse_other_tables(warehouse, table, periods, there, ledger)
        remake_views = partial(_create_views, warehouse, table, focus=focus)
        results = [
            _publish(
                run,
                warehouse,
                table,
                each,
                ledger.get((table.name, str(each.load.period))),
                remake_views,
            )
            if force or _is_new(warehouse, table, each, there, ledger)
            else each.result(Outcome.UNCHANGED)
            for each in periods
        ]
    try:
        remake_views()
    except FinopsError as error:
        error.kept = error.kept or "the tables are published; a view over them is not made"
        of = (export.vendor, export.name, None)
        results.append(PeriodResult(*of, Outcome.FAILED, error=error))
    return results


Catalog = dict[str, Relation]
Ledger = dict[tuple[str, str], Publication]


def _table(warehouse: Warehouse, export: Export, order: tuple[str, ...], *, focus: bool) -> Table:
    config = warehouse.config
    partitioned = config.table_strategy == "single"
    if focus:
        name = warehouse.table_name(f"{_CHARGES}_{export.dataset}")
        columns = ("x_BillingPeriod", "BillingPeriodStart")
        dataset, views = config.focus_dataset, [*reversed(_VIEWS.values()), _CHARGES]
    else:
        named = "" if export.name == "default" else f"_{clean_column_name(export.name)}"
        if re.search(r"_\d{4}_\d\d$", named):
            named += "_bill"  # aws_data_2024_01 is a month of aws_data
        name = warehouse.table_name((config.table or f"{export.vendor}_data") + named)
        columns = (PERIOD_COLUMN, START_COLUMN)
        dataset, views = config.dataset, []
    if not partitioned:
        views.append(name)
    return Table(dataset, name, partitioned, *columns, order, tuple(views))


def _refuse_other_tables(
    warehouse: Warehouse,
    table: Table,
    periods: list[PeriodRows],
    there: Catalog,
    ledger: Ledger,
) -> None:
    """Refuse to write where another bill is, or what was made in the other strategy."""
    export, section = periods[0].export, warehouse.config.section
    entries = [entry for (name, _), entry in ledger.items() if name == table.name]
    accounts = {account for each in periods for account in each.accounts}
    theirs = {account for entry in entries for account in json.loads(entry.billing_accounts)}
    others = {f"{entry.vendor}/{entry.export}" for entry in entries}
    if others <= {export.source} and accounts and theirs.isdisjoint(accounts):
        others = {f"the billing account {account}" for account in theirs}
    else:
        others -= {export.source}
    if others:
        raise ConfigError(
            f"{table.dataset}.{table.name} holds the bills of {min(others)}",
            code="other-export",
            do=f"set table, dataset or focus_dataset in [{section}]",
        )
    found = there.get(table.name)
    if found and found.is_view == table.partitioned:
        made = "separate" if found.is_view else "single"
        raise ConfigError(
            f"{table.dataset}.{table.name} was made with table_strategy = {made!r}",
            code="other-strategy",
            do=f"set that in [{section}], or set another table",
        )


def _is_new(
    warehouse: Warehouse, table: Table, each: PeriodRows, there: Catalog, ledger: Ledger
) -> bool:
    entry = ledger.get((table.name, str(each.load.period)))
    dropped = not warehouse.holds(table, each.load.period, there)
    return dropped or entry is None or entry.content != each.content


def _publish(  # noqa: PLR0913, PLR0917 - a period, where it goes, and what is there
    run: Run,
    warehouse: Warehouse,
    table: Table,
    each: PeriodRows,
    before: Publication | None,
    remake_views: RemakeViews,
) -> PeriodResult:
    period, place = each.load.period, f"{table.dataset}.{table.name}"
    entry = _entry(run, warehouse, table, each, before.generation + 1 if before else 1)
    try:
        each.check(each.rows.count())
        with run.track(f"{period} publish", each.count) as advance:
            warehouse.replace(table, period, each.rows, entry, remake_views)
            advance(each.count)
        result = each.result(Outcome.PUBLISHED)
    except FinopsError as error:
        error.kept = error.kept or (
            f"{place} has what was published {before.published_at:%Y-%m-%d %H:%M} UTC"
            if before
            else f"{place} has nothing of this period"
        )
        result = each.failed(error)
    state, reason = ("failed", result.error.what) if result.error else ("published", "")
    of = (each.export.vendor, each.export.name, str(period))
    run.state.note_published(
        Published(
            warehouse.config.name, place, *of, state, reason, entry.load_id, each.count, run.run_id
        )
    )
    crash_point("period-published")
    return result


def _entry(
    run: Run, warehouse: Warehouse, table: Table, each: PeriodRows, generation: int
) -> Publication:
    names = {column.original: column.name for column in each.rows.columns}
    renamed = {
        original: own
        for original, name in names.items()
        if (own := warehouse.own_name(name)) != warehouse.spelled(name)
    }
    return Publication(
        table_name=table.name,
        billing_period=str(each.load.period),
        generation=generation,
        kind=_CHARGES if table.period_column != PERIOD_COLUMN else "line_items",
        vendor=each.export.vendor,
        export=each.export.name,
        load_id=each.load.load_id,
        delivery_id=each.load.delivery_id,
        content=each.content,
        row_count=each.count,
        totals=json.dumps({code: f"{total:f}" for code, total in each.load.totals.items()}),
        renamed=json.dumps(renamed),
        billing_accounts=json.dumps(each.accounts),
        run_id=run.run_id,
        published_at=datetime.now(UTC),
    )


def _create_views(warehouse: Warehouse, table: Table, *, focus: bool) -> None:
    """Let the views show every period of every export that the ledger knows."""
    dataset = table.dataset
    ledger = warehouse.ledger(dataset)
    if not table.partitioned:
        months = [period for name, period in ledger if name == table.name]
        parts = [table.part(BillingPeriod.parse(month)) for month in sorted(months)]
        _create_union(warehouse, dataset, table.name, parts)
    if not focus:
        return
    tables = {name for (name, _), entry in ledger.items() if entry.kind == _CHARGES}
    _create_union(warehouse, dataset, _CHARGES, sorted(tables))
    source = warehouse.identifier(dataset, _CHARGES)
    for version, view in _VIEWS.items():
        # Without quotes: each warehouse finds the names as it spells them.
        cells = ", ".join(f"{cell} AS {name}" for name, cell in meanings(version))
        warehouse.create_view(dataset, view, f"SELECT {cells} FROM {source}")


def _create_union(warehouse: Warehouse, dataset: str, name: str, tables: list[str]) -> None:
    there = warehouse.catalog(dataset)
    parts = {table: there[table] for table in tables if table in there}
    first = list(there[name].columns) if name in there else []
    if parts:
        warehouse.create_view(dataset, name, warehouse.union(dataset, parts, first))
