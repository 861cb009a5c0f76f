"""``load-billing-local``: replace billing periods in the store by their staged deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from finops.config import Export
from finops.errors import BadDataError, FinopsError
from finops.faults import crash_point
from finops.focus.charges import built_charges, made_with
from finops.period import BillingPeriod
from finops.run import Outcome, PeriodResult, Run
from finops.sql import Connection
from finops.state import Attempt, DeliveryState
from finops.steps.attempts import open_attempts, settle
from finops.steps.extract_billing import is_whole, staged_path
from finops.steps.loaded import tell_kept
from finops.steps.reconcile_state import load_id, mark_published, remove_staged
from finops.store.database import reading, writing
from finops.store.dataset import Dataset
from finops.store.ledger import Load, LoadedFile, current_loads
from finops.store.replace import Staged, remake_charges, replace_period, transaction
from finops.vendors import find_vendor


def load_billing_local(run: Run, exports: Sequence[Export]) -> list[PeriodResult]:
    """Load every staged delivery, newest period first, one commit per billing period.

    Charges are made with each of them, and made anew for periods whose charges would be
    other ones now: a newer mapping, another lookup.

    All commits of the run become visible to readers at once. A period that fails keeps
    its earlier delivery. With nothing to load the store is neither copied nor touched.
    """
    if not any(_has_work(run, export) for export in exports):
        return []
    with writing(run.data, _space_needed(run, exports)) as db:
        results = [result for export in exports for result in _load_export(run, db, export)]
        dropped = [(export, _drop_old_periods(run, Dataset(db, export))) for export in exports]
    mark_published(run)
    for export, periods in dropped:
        for period in periods:
            remove_staged(run, export, period)
    return results


def _has_work(run: Run, export: Export) -> bool:
    if open_attempts(run, export, DeliveryState.STAGED):
        return True
    if not run.data.database.exists():
        return False
    with reading(run.data) as db:
        dataset = Dataset(db, export)
        return (
            dataset.strategy() not in (None, export.table_strategy)
            or bool(_old_periods(run, dataset))
            or bool(_outdated_charges(run, dataset))
        )


def _space_needed(run: Run, exports: Sequence[Export]) -> int:
    """Estimate the bytes that a load takes for a while, beside the clone: rows twice."""
    staged = [
        attempt.delivery.bytes
        for export in exports
        for attempt in open_attempts(run, export, DeliveryState.STAGED)
    ]
    return 2 * sum(staged)


def _load_export(run: Run, db: Connection, export: Export) -> list[PeriodResult]:
    dataset = Dataset(db, export)
    with transaction(db):
        if dataset.switch_strategy():
            run.notices.append(f"{export.dataset}: tables are now {export.table_strategy!r}")
    results = [
        settle(run, export, attempt, partial(_load, run, dataset))
        for attempt in open_attempts(run, export, DeliveryState.STAGED)
    ]
    return results + _remake_charges(run, dataset)


def _outdated_charges(run: Run, dataset: Dataset) -> list[Load]:
    """Return the loads whose charges are not what would be made of them now."""
    built = built_charges(dataset.db, dataset.export.dataset)
    made = made_with(find_vendor(dataset.export.vendor), run.lookups)
    return [
        load
        for period, load in current_loads(dataset.db, dataset.export.dataset).items()
        if built.get(period, ())[:2] != (load.load_id, made) and dataset.has_table(period)
    ]


def _remake_charges(run: Run, dataset: Dataset) -> list[PeriodResult]:
    """Make outdated charges anew; where they are refused, the earlier ones stay."""
    vendor, outdated = find_vendor(dataset.export.vendor), _outdated_charges(run, dataset)
    failed: list[PeriodResult] = []
    for load in outdated:
        try:
            remake_charges(dataset, vendor, load, run.lookups, strict=run.strict)
        except FinopsError as error:
            tell_kept(error, load)
            of = (dataset.export.vendor, dataset.export.name, load.period)
            failed.append(PeriodResult(*of, Outcome.FAILED, error=error))
    if made := len(outdated) - len(failed):
        what = "1 period" if made == 1 else f"{made} periods"
        run.notices.append(f"{dataset.export.dataset}: made the charges of {what} anew")
    return failed


def _old_periods(run: Run, dataset: Dataset) -> list[BillingPeriod]:
    """Return the loaded periods that ``keep_periods`` leaves no place for."""
    loaded = current_loads(dataset.db, dataset.export.dataset)
    return [period for period in loaded if not run.config.keeps(period, max(loaded))]


def _drop_old_periods(run: Run, dataset: Dataset) -> list[BillingPeriod]:
    old = _old_periods(run, dataset)
    for period in old:
        with transaction(dataset.db):
            dataset.drop_period(period)
        run.notice(dataset.export, period, "dropped, as keep_periods says")
    return old


def _load(run: Run, dataset: Dataset, attempt: Attempt) -> PeriodResult:
    attempt = run.state.move(attempt, DeliveryState.LOADING)
    crash_point("loading")
    return load_staged(run, dataset, _staged(run, attempt), load_id(attempt))


def load_staged(run: Run, dataset: Dataset, staged: Staged, load_id: str) -> PeriodResult:
    """Replace one billing period in an open clone by a staged delivery, and tell of it."""
    delivery, export = staged.delivery, dataset.export
    run.log("loading", delivery, bytes=delivery.bytes)
    with run.track(f"{delivery.period} load", delivery.bytes) as advance:
        load, notices = replace_period(dataset, find_vendor(export.vendor), staged, load_id)
        crash_point("committed")
        advance(delivery.bytes)
    totals = {currency: f"{total:f}" for currency, total in load.totals.items()}
    run.log("loaded", delivery, rows=load.rows, totals=totals)
    for notice in notices:
        run.notice(export, delivery.period, notice)
    if load.rounded_cells:
        run.notice(
            export,
            delivery.period,
            f"{load.rounded_cells:,} money cells had more than 24 decimals and were rounded",
        )
    result = PeriodResult.of(delivery, Outcome.LOADED)
    return replace(result, rows=load.rows, totals=load.totals)


def _staged(run: Run, attempt: Attempt) -> Staged:
    folder = run.data.staging(attempt.delivery)
    noted = []
    for position in range(len(attempt.delivery.files)):
        file = run.state.staged_file(staged_path(folder, position, attempt.delivery))
        if file is None or not is_whole(file):
            raise BadDataError(
                f"the staged file {position + 1} was changed or removed",
                code="staging-lost",
                where=str(folder),
                do="run import-cur again: it is downloaded anew",
            )
        noted.append((file.path, LoadedFile(file.key, file.size, file.etag, file.sha256)))
    scratch, flags = run.data.temporary, (run.allow_shrink, run.strict)
    return Staged(attempt.delivery, tuple(noted), scratch, run.lookups, *flags)
