"""What the steps share: which attempts are theirs, and what becomes of one that fails."""

from __future__ import annotations

from collections.abc import Callable

from finops.config import Export
from finops.errors import AccessError, FinopsError, LocalError, OutOfMemoryError
from finops.run import PeriodResult, Run
from finops.state import Attempt, DeliveryState
from finops.steps.loaded import loaded_periods, tell_kept

# These would befall every other period as well.
_FOR_ALL = (AccessError, LocalError)


def open_attempts(run: Run, export: Export, state: DeliveryState) -> list[Attempt]:
    """Return an export's attempts in a state, within its date filters, newest period first."""
    attempts = run.state.attempts(export.vendor, export.name, frozenset((state,)))
    return [attempt for attempt in attempts if export.covers(attempt.delivery.period)]


def settle(
    run: Run, export: Export, attempt: Attempt, work: Callable[[Attempt], PeriodResult]
) -> PeriodResult:
    """Do a step's work on one attempt; a failure of its own is noted and the others go on."""
    try:
        return work(attempt)
    except FinopsError as error:
        run.state.fail(run.state.attempt(attempt.id), error.code)
        if isinstance(error, _FOR_ALL) and not isinstance(error, OutOfMemoryError):
            raise
        tell_kept(error, loaded_periods(run.data, export).get(attempt.delivery.period))
        return PeriodResult.failed(attempt.delivery, error)
