"""One run: an invocation that works in the data folder, and what it says of each period."""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum

from finops.config import Config, Export, mask_secrets
from finops.datadir import DataDir
from finops.delivery import Delivery, FailedDelivery
from finops.errors import (
    AccessError,
    BadDataError,
    ConfigError,
    FinopsError,
    LocalError,
    PartialFailure,
    RefusedError,
    TemporaryError,
    UnavailableError,
)
from finops.faults import crash_point
from finops.focus.lookups import NO_LOOKUPS, Lookups, read_lookups
from finops.period import BillingPeriod
from finops.state import State

INTERRUPTED = 130
_LOG = logging.getLogger("finops")
# What may pass by itself is the least; what a person has to change is the gravest.
_GRAVITY: tuple[type[FinopsError], ...] = (
    TemporaryError,
    UnavailableError,
    RefusedError,
    BadDataError,
    LocalError,
    AccessError,
    ConfigError,
)
Advance = Callable[[int], None]
Track = Callable[[str, int], AbstractContextManager[Advance]]


class Outcome(StrEnum):
    """What a step did with a billing period."""

    DISCOVERED = "discovered"
    EXTRACTED = "manifest extracted"
    STAGED = "staged"
    LOADED = "loaded"
    EXPORTED = "exported"
    PUBLISHED = "published"
    UNCHANGED = "unchanged"
    HELD = "held back"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PeriodResult:
    """What a step did with one billing period of one export.

    ``period`` is None where the whole export failed. ``bytes`` is the size at the vendor;
    ``totals`` is billed cost per currency, once loaded.
    """

    vendor: str
    export: str
    period: BillingPeriod | None
    outcome: Outcome
    delivery_id: str = ""
    files: int = 0
    bytes: int = 0
    rows: int | None = None
    totals: dict[str, Decimal] = field(default_factory=dict)
    error: FinopsError | None = None

    @property
    def source(self) -> str:
        """Vendor and export, as users name them."""
        return f"{self.vendor}/{self.export}"

    @classmethod
    def of(cls, delivery: Delivery, outcome: Outcome) -> PeriodResult:
        """Say that a step reached ``outcome`` with a delivery."""
        return cls(
            delivery.vendor,
            delivery.export,
            delivery.period,
            outcome,
            delivery.delivery_id,
            len(delivery.files),
            delivery.bytes,
        )

    @classmethod
    def failed(cls, delivery: Delivery | FailedDelivery, error: FinopsError) -> PeriodResult:
        """Say that a period failed; the others go on."""
        delivery_id = delivery.delivery_id if isinstance(delivery, Delivery) else ""
        of = (delivery.vendor, delivery.export, delivery.period)
        return cls(*of, Outcome.FAILED, delivery_id, error=error)


def untracked(_description: str, _total: int) -> AbstractContextManager[Advance]:
    """Show no progress."""
    return nullcontext(lambda _amount: None)


@dataclass(frozen=True, slots=True)
class Run:
    """What every step needs. ``notices`` collects what a user should know.

    ``allow_shrink`` lets a period lose most of its rows, ``strict`` lets every check of the
    charges refuse a period.
    """

    run_id: str
    config: Config
    data: DataDir
    state: State
    track: Track = untracked
    lookups: Lookups = NO_LOOKUPS
    allow_shrink: bool = False
    strict: bool = False
    notices: list[str] = field(default_factory=list)

    def notice(self, export: Export, period: BillingPeriod, text: str) -> None:
        """Note something about a period that is no error."""
        self.notices.append(f"{export.source} {period}: {text}")

    def log(
        self, event: str, of: Delivery | PeriodResult, level: int = logging.INFO, **fields: object
    ) -> None:
        """Tell the log what became of a delivery or period; the command line shows it."""
        what = {"export": of.export, "period": str(of.period), "delivery": of.delivery_id}
        _LOG.log(level, event, extra={"fields": what | fields})


def new_run_id() -> str:
    """Return an id that sorts by time and that no other run has."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


@contextmanager
def start_run(  # noqa: PLR0913 - what a command line may say of any run
    config: Config,
    command: str,
    track: Track = untracked,
    *,
    run_id: str = "",
    lock_timeout: float = 0,
    allow_shrink: bool = False,
    strict: bool = False,
) -> Iterator[Run]:
    """Lock the data folder, open the state and note that a run began, or what broke it.

    ``lock_timeout`` is how many seconds to wait for another run; ``Run`` says what the other
    flags mean.
    """
    run_id = run_id or new_run_id()
    data = config.data
    lookups = read_lookups(config.service_categories, config.account_names)
    with data.locked(f"run {run_id}, {command}", lock_timeout):
        state = State(data.state)
        try:
            state.start_run(run_id, command)
            crash_point("locked")
            yield Run(run_id, config, data, state, track, lookups, allow_shrink, strict)
        except BaseException as error:
            code = error.exit_code if isinstance(error, FinopsError) else 1
            if isinstance(error, KeyboardInterrupt):
                code = INTERRUPTED
            state.finish_run(run_id, code, mask_secrets(f"{error}") or type(error).__name__)
            raise
        finally:
            state.close()


def failure_of(results: Sequence[PeriodResult]) -> FinopsError | None:
    """Return the one error that stands for all: the gravest, or that only some failed."""
    errors = [result.error for result in results if result.error]
    if errors and len(errors) < len(results):
        return PartialFailure(f"{len(errors)} of {len(results)} failed; the others went well")
    return gravest(errors)


def gravest(errors: Iterable[FinopsError]) -> FinopsError | None:
    """Return the error that most needs a person, by the order in ``docs/errors.md``."""
    return max(errors, key=_gravity, default=None)


def _gravity(error: FinopsError) -> int:
    ranks = [rank for rank, kind in enumerate(_GRAVITY) if isinstance(error, kind)]
    return max(ranks, default=len(_GRAVITY))


def end_run(run: Run, results: Sequence[PeriodResult]) -> FinopsError | None:
    """Note how a run ended and return the one error it ends with, if any."""
    error = failure_of(results)
    for result in results:
        if result.error:
            run.log("failed", result, logging.WARNING, code=result.error.code)
    counts = Counter(result.outcome for result in results)
    outcome = ", ".join(f"{count} {name}" for name, count in counts.items()) or "nothing to do"
    run.state.finish_run(run.run_id, error.exit_code if error else 0, outcome)
    return error
