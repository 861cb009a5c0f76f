"""``load-billing-local``: replace billing periods in the store by their staged deliveries."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from finops.config import Export
from finops.errors import BadDataError
from finops.faults import crash_point
from finops.run import Outcome, PeriodResult, Run
from finops.state import Attempt, DeliveryState
from finops.steps.attempts import open_attempts, settle
from finops.steps.extract_billing import is_whole, staged_path
from finops.steps.reconcile_state import load_id
from finops.store.database import reading, writing
from finops.store.dataset import Dataset
from finops.store.ledger import LoadedFile
from finops.store.replace import Staged, replace_period, transaction
from finops.store.sql import Connection
from finops.vendors import find_vendor


def load_billing_local(run: Run, exports: Sequence[Export]) -> list[PeriodResult]:
    """Load every staged delivery, newest period first, one commit per billing period.

    All commits of the run become visible to readers at once. A period that fails keeps
    its earlier delivery. With nothing to load the store is neither copied nor touched.
    """
    if not any(_has_work(run, export) for export in exports):
        return []
    with writing(run.data) as db:
        results = [result for export in exports for result in _load_export(run, db, export)]
    for export in exports:
        _mark_published(run, export)
    return results


def _has_work(run: Run, export: Export) -> bool:
    if open_attempts(run, export, DeliveryState.STAGED):
        return True
    if not run.data.database.exists():
        return False
    with reading(run.data.database) as db:
        return Dataset(db, export).strategy() not in (None, export.table_strategy)


def _load_export(run: Run, db: Connection, export: Export) -> list[PeriodResult]:
    dataset = Dataset(db, export)
    with transaction(db):
        if dataset.switch_strategy():
            run.notices.append(f"{export.dataset}: tables are now {export.table_strategy!r}")
    return [
        settle(run, export, attempt, partial(_load, run, dataset))
        for attempt in open_attempts(run, export, DeliveryState.STAGED)
    ]


def _load(run: Run, dataset: Dataset, attempt: Attempt) -> PeriodResult:
    delivery, export = attempt.delivery, dataset.export
    attempt = run.state.move(attempt, DeliveryState.LOADING)
    crash_point("loading")
    with run.track(f"{delivery.period} load", delivery.bytes) as advance:
        load, notices = replace_period(
            dataset, find_vendor(export.vendor), _staged(run, attempt), load_id(attempt)
        )
        crash_point("committed")
        advance(delivery.bytes)
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
    return Staged(attempt.delivery, tuple(noted), run.data.temporary, run.allow_shrink)


def _mark_published(run: Run, export: Export) -> None:
    """After the rename: what was committed is loaded; older staged deliveries may go."""
    for attempt in open_attempts(run, export, DeliveryState.LOADING):
        run.state.move(attempt, DeliveryState.LOADED)
        crash_point("marked-loaded")
        _prune_staging(run, attempt)
        crash_point("pruned")


def _prune_staging(run: Run, attempt: Attempt) -> None:
    """Keep the newest ``keep_deliveries`` of the period; their names sort by delivery time."""
    folders = sorted(run.data.staged_period(attempt.delivery).iterdir(), reverse=True)
    for folder in folders[run.config.keep_deliveries :]:
        if folder != attempt.path:
            run.state.forget_files(folder)
            shutil.rmtree(folder)
