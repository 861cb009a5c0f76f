"""OPEN FIRST: the steps from a bucket to the store, in order.

Each step is a command, a file in ``steps/`` and a function of the same name. Each may run
alone and again: it does what is left to do and leaves the rest as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from finops.config import Export
from finops.errors import FinopsError
from finops.run import Outcome, PeriodResult, Run
from finops.steps.discover_manifests import discover_manifests
from finops.steps.extract_billing import extract_billing
from finops.steps.extract_manifests import extract_manifests
from finops.steps.load_billing_local import load_billing_local


def import_billing(
    run: Run, exports: Sequence[Export], *, force: bool = False
) -> list[PeriodResult]:
    """Bring the exports' billing periods from their buckets into the store.

    Returns one result per export and billing period: what the last step that touched it
    made of it. An export that fails as a whole does not keep the others back.
    """
    results: dict[object, PeriodResult] = {}
    for export in exports:
        try:
            staged = _stage_export(run, export, force=force)
        except FinopsError as error:
            if len(exports) == 1:
                raise
            staged = [PeriodResult(export.vendor, export.name, None, Outcome.FAILED, error=error)]
        results.update({_of(result): result for result in staged})
    # Each period is replaced in one commit; all of them are published by one rename.
    for result in load_billing_local(run, exports):
        # An earlier delivery may have waited in staging: what failed since is not hidden by it.
        before = results.setdefault(_of(result), result)
        if not before.error:
            results[_of(result)] = result
    return list(results.values())


def _of(result: PeriodResult) -> tuple[object, ...]:
    return result.vendor, result.export, result.period


def _stage_export(run: Run, export: Export, *, force: bool) -> list[PeriodResult]:
    return [
        # The newest delivery of every period that is not loaded as it is gets queued; where no
        # manifest tells what a file is of, it is read for the months of its rows.
        *discover_manifests(run, export, force=force),
        # Their manifests are copied to staging, word for word.
        *extract_manifests(run, export),
        # Their data files are downloaded and verified; the bucket is not needed any more.
        *extract_billing(run, export),
    ]
