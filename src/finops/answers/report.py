"""``report``: what was spent on what, by service, account or month.

Only ``focus.daily`` is read, which is small however many charges there are. A sum is always of
one metric and in one currency, and the answer says of which, and how final it is.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import Any

from finops.errors import LocalError, UsageError
from finops.focus.overlaps import (
    IS_LEFT_OUT,
    Overlap,
    find_overlaps,
    overlap_lines,
    places_left_out,
)
from finops.money import added
from finops.period import BillingPeriod
from finops.sql import Connection, Row, identifier, query, script_statements
from finops.store.dataset import stored_exports

# An account may have had several names, and where a bill has none its id stands for it.
_NEWEST_NAME = (
    "max_by(SubAccountName, (SubAccountName <> SubAccountId, day, SubAccountName))"
    " OVER (PARTITION BY SubAccountId)"
)
# What a row is about, as SQL over ``focus.daily``.
REPORTS = {
    "services": {"ServiceName": "ServiceName", "ServiceCategory": "ServiceCategory"},
    "accounts": {"SubAccountId": "SubAccountId", "SubAccountName": _NEWEST_NAME},
    "months": {"x_BillingPeriod": "month"},
}
METRICS = {
    "billed": ("BilledCost", "what the vendor invoices"),
    "effective": ("EffectiveCost", "commitments spread over what they pay for"),
    "list": ("ListCost", "at public prices, before any discount"),
    "contracted": ("ContractedCost", "at negotiated prices, before commitments"),
}
_CURRENCY = "BillingCurrency"
# These are other ones every month, so that months cannot be compared by them.
_OF_ONE_MONTH = {"day", "x_LoadId", "InvoiceId"}
_MEASURES = {"x_Charges", *(column for column, _ in METRICS.values())}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. ``period`` is ``YYYY-MM`` or ``FIRST:LAST``, both included.

    Without it, services and accounts are those of the newest loaded period, and months are
    all. ``by`` is a column of ``focus.daily`` that splits the rows further.
    """

    name: str
    period: str | None = None
    metric: str = "billed"
    by: str | None = None
    export: str | None = None


@dataclass(frozen=True, slots=True)
class CoveredPeriod:
    """A loaded billing period of one export, and the rules that its charges break.

    ``is_final`` tells whether the vendor has invoiced it; None: no charges were made yet.
    """

    vendor: str
    export: str
    period: BillingPeriod
    load_id: str
    is_final: bool | None
    failed_checks: tuple[str, ...]

    @property
    def source(self) -> str:
        """Vendor and export, as users name them."""
        return f"{self.vendor}/{self.export}"


@dataclass(frozen=True, slots=True)
class Report:
    """An answer: rows by column name, every cost exact and in the ``BillingCurrency`` of its row.

    ``totals`` are per currency. ``periods`` are those added up, by export and time, and
    ``overlaps`` is what two of their exports both have: left out of the costs, or in them twice.
    """

    name: str
    metric: str
    columns: tuple[str, ...]
    rows: list[dict[str, Any]]
    totals: dict[str, Decimal]
    periods: tuple[CoveredPeriod, ...]
    overlaps: tuple[Overlap, ...] = ()

    @property
    def currency(self) -> str:
        """The currency of the costs, or all of them: no number here is of two."""
        return ", ".join(filter(None, self.totals)) or "no currency"

    @property
    def meaning(self) -> str:
        """What the metric means."""
        return METRICS[self.metric][1]

    @property
    def notes(self) -> list[str]:
        """What to know about the numbers: metric, currency, which periods are not final."""
        lines = [f"{self.metric} cost in {self.currency}: {self.meaning}"]
        for source, periods in groupby(self.periods, lambda each: each.source):
            lines.append(f"{source}: {', '.join(_spans(periods))}")
        for each in self.periods:
            if each.failed_checks:
                failed = f"failed checks: {', '.join(each.failed_checks)}"
                more = f"finops verify {each.period} tells more"
                lines.append(f"{each.source} {each.period}: {failed}; {more}")
        return lines + overlap_lines(self.overlaps)


def report(db: Connection, question: Question, settings: Mapping[str, str] | None = None) -> Report:
    """Answer a question. Rows come by month and currency, then the dearest first.

    ``settings`` are the ``overlaps`` of exports, as ``Config.overlaps`` has them.

    Raises:
        UsageError: there is no such report, metric or column, or the span ends before it begins.
        ConfigError: there is no such export, or month in the calendar.
        LocalError: a period is not loaded, or has no charges yet.
    """
    name = _known(question.name, REPORTS, "report")
    metric = _known(question.metric, METRICS, "metric")
    loaded = _loaded_periods(db, question.export)
    chosen = _choose(loaded, name, question.period)
    keys = REPORTS[name] | _further_key(db, name, question.by)
    cost = METRICS[metric][0]
    counted = _counted(loaded, chosen, name)
    overlaps = find_overlaps(db, settings or {}, counted["load_ids"], cost)
    rows = _rows(db, name, keys, cost, counted | places_left_out(overlaps))
    changes = ("change", "change_percent") if name == "months" else ()
    columns = (*keys, _CURRENCY, cost, *changes)
    documents = [dict(zip(columns, row, strict=True)) for row in rows]
    totals = added((row[_CURRENCY], row[cost]) for row in documents)
    periods = {each.period for each in chosen}
    shown = tuple(each for each in overlaps if each.period in periods)
    return Report(name, metric, columns, documents, totals, tuple(chosen), shown)


def _loaded_periods(db: Connection, export: str | None) -> list[CoveredPeriod]:
    stored_exports(db, export)
    if not query(db, "SELECT 1 FROM duckdb_tables() WHERE schema_name = 'focus'"):
        raise _no_charges("the database is of an older finops and")
    (sql, *_) = script_statements("answers/report.sql")
    rows = query(db, sql, {"export": export})
    return [
        CoveredPeriod(vendor, name, BillingPeriod.parse(period), load_id, is_final, tuple(failed))
        for vendor, name, period, load_id, is_final, failed in rows
    ]


def _choose(loaded: list[CoveredPeriod], name: str, span: str | None) -> list[CoveredPeriod]:
    """Return the loaded periods that are asked for; each of them has charges."""
    if not loaded:
        raise LocalError(
            "no billing period is loaded", code="not-loaded", do="finops aws import-cur"
        )
    periods = [each.period for each in loaded]
    newest = max(periods)
    first, last = _span(span) if span else (min(periods) if name == "months" else newest, newest)
    chosen = [each for each in loaded if first <= each.period <= last]
    if not chosen:
        raise LocalError(f"{span} is not loaded", code="not-loaded", do="finops status")
    for each in chosen:
        if each.is_final is None:
            raise _no_charges(f"{each.source} {each.period} is loaded but")
    return chosen


def _no_charges(what: str) -> LocalError:
    return LocalError(
        f"{what} has no charges yet", code="no-charges", do="finops aws import-cur makes them"
    )


def _span(text: str) -> tuple[BillingPeriod, BillingPeriod]:
    first, colon, last = text.partition(":")
    span = BillingPeriod.parse(first), BillingPeriod.parse(last if colon else first)
    if span[1] < span[0]:
        raise UsageError(f"{first} lies after {last}", do="write FIRST:LAST; both are included")
    return span


def _further_key(db: Connection, name: str, by: str | None) -> dict[str, str]:
    if by is None:
        return {}
    columns = [column for column, *_ in query(db, "DESCRIBE focus.daily")]
    useless = _MEASURES | (_OF_ONE_MONTH if name == "months" else set())
    column = _known(by, [each for each in columns if each not in useless], "column to split by")
    present = {*REPORTS[name], _CURRENCY}
    return {} if column in present else {column: identifier(column)}


def _known(given: str, known: Iterable[str], what: str) -> str:
    """Return the name that is meant, in whatever case it was given."""
    names = {name.lower(): name for name in known}
    if found := names.get(given.lower()):
        return found
    near = difflib.get_close_matches(given.lower(), names, cutoff=0.5)
    do = f"did you mean {' or '.join(names[each] for each in near)}?" if near else None
    raise UsageError(
        f"there is no {what} {given!r}", do=do or f"known: {', '.join(names.values())}"
    )


def _counted(
    loaded: list[CoveredPeriod], chosen: list[CoveredPeriod], name: str
) -> dict[str, list[Any]]:
    """Say which loads count, in which month, and whether as that month or as the one before.

    A month is compared with the one before where that has charges of the same exports.
    """
    counted = [(each.load_id, each.period, False) for each in chosen]
    charged = [each for each in loaded if each.is_final is not None]
    now, then = _sources(chosen), _sources(charged)
    for each in charged if name == "months" else []:
        after = each.period.shift(1)
        if then[each.period] == now.get(after):
            counted.append((each.load_id, after, True))
    return {
        "load_ids": [load_id for load_id, _, _ in counted],
        "months": [str(month) for _, month, _ in counted],
        "are_before": [is_before for _, _, is_before in counted],
    }


def _sources(periods: list[CoveredPeriod]) -> dict[BillingPeriod, set[str]]:
    found: dict[BillingPeriod, set[str]] = {}
    for each in periods:
        found.setdefault(each.period, set()).add(each.source)
    return found


def _rows(
    db: Connection, name: str, keys: dict[str, str], cost: str, counted: dict[str, list[Any]]
) -> list[Row]:
    _, dearest, months = script_statements("answers/report.sql")
    cells = ", ".join(f"{sql} AS {identifier(title)}" for title, sql in keys.items())
    daily = (
        "WITH counted AS (SELECT unnest($load_ids::VARCHAR[]) AS x_LoadId,"
        " unnest($months::VARCHAR[]) AS month, unnest($are_before::BOOLEAN[]) AS is_before),\n"
        f"daily AS (SELECT {cells}, coalesce(BillingCurrency, '') AS BillingCurrency,"
        f" {cost} AS cost, is_before FROM focus.daily JOIN counted USING (x_LoadId)"
        f" WHERE NOT {IS_LEFT_OUT})\n"
    )
    return query(db, daily + (months if name == "months" else dearest), counted)


def _spans(periods: Iterable[CoveredPeriod]) -> Iterator[str]:
    """Name runs of consecutive months that are all final, or all open."""

    def run_of(numbered: tuple[int, CoveredPeriod]) -> tuple[bool | None, int]:
        number, each = numbered
        return each.is_final, each.period.year * 12 + each.period.month - number

    for (is_final, _), run in groupby(enumerate(periods), run_of):
        months = [str(each.period) for _, each in run]
        span = " to ".join(dict.fromkeys((months[0], months[-1])))
        yield f"{span} {'final' if is_final else 'still open'}"
