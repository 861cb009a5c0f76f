"""The same account and month in two exports: found in the charges, and what totals do about it.

No row is ever deleted for it. What an export's ``overlaps`` says decides: ``report`` counts
and warns, ``count`` only counts, ``leave-out`` does not count what another export has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from importlib.resources import files
from itertools import groupby
from typing import Any, NamedTuple

from finops.money import added, money
from finops.period import BillingPeriod
from finops.sql import Connection, identifier, query

ADVICE = 'set overlaps = "leave-out" for the export not to count, or "count" where both are right'
# Of a row of ``focus.daily``; ``places_left_out`` are the values to bind.
IS_LEFT_OUT = (
    "(x_LoadId, coalesce(BillingAccountId, ''), coalesce(SubAccountId, '')) IN"
    " (SELECT unnest($left_loads::VARCHAR[]), unnest($left_billing_accounts::VARCHAR[]),"
    " unnest($left_sub_accounts::VARCHAR[]))"
)
_SHOWN = 3
Costs = dict[str, Decimal]


class Verdict(StrEnum):
    """What totals over exports do: count both, as the user said or not, or leave one out."""

    COUNTED_IN_BOTH = "counted in both"
    ACCEPTED = "accepted"
    LEFT_OUT = "left out"


class Place(NamedTuple):
    """An account in the charges of a load, as the bill writes it."""

    load_id: str
    billing_account: str | None
    sub_account: str | None


class _Part(NamedTuple):
    """What an export has of an account that another has, too. Grain: that of ``overlaps.sql``."""

    account: str
    place: Place
    currency: str
    cost: Decimal


@dataclass(frozen=True, slots=True)
class Overlap:
    """The accounts of a month that two exports have, and what each says that they cost.

    Where one is left out it is the second; ``places`` is where its charges are.
    """

    period: BillingPeriod
    exports: tuple[str, str]
    verdict: Verdict
    accounts: tuple[str, ...]
    costs: tuple[Costs, Costs]
    places: tuple[Place, ...]

    def is_of(self, name: str | None) -> bool:
        """Tell whether one of the two is called ``name``; None stands for every name."""
        return name in (None, *(export.partition("/")[2] for export in self.exports))

    @property
    def document(self) -> dict[str, Any]:
        """The overlap as JSON shows it."""
        return {
            "period": str(self.period),
            "exports": self.exports,
            "accounts": self.accounts,
            "totals": dict(zip(self.exports, self.costs, strict=True)),
            "verdict": self.verdict,
            "left_out": self.exports[1] if self.verdict == Verdict.LEFT_OUT else None,
        }


def find_overlaps(
    db: Connection,
    settings: Mapping[str, str],
    load_ids: Sequence[str] | None = None,
    cost: str = "BilledCost",
) -> list[Overlap]:
    """Return what two exports both have, of some loads or of all, by exports and period.

    ``settings`` are the ``overlaps`` of ``VENDOR/EXPORT``. What all who have it would leave
    out counts in the first of them by name, so that it never counts nowhere.
    """
    if not query(db, "SELECT 1 FROM duckdb_tables() WHERE schema_name = 'focus'"):
        return []
    sql = files(__package__).joinpath("overlaps.sql").read_text("utf-8")
    rows = query(db, sql.replace("{cost}", identifier(cost)), {"load_ids": load_ids})
    groups: dict[tuple[str, str, str], list[_Part]] = defaultdict(list)
    for period, export, other, account, *place, currency, amount in rows:
        groups[period, export, other].append(_Part(account, Place(*place), currency, amount))
    return sorted(_overlaps(groups, settings), key=lambda each: (each.exports, each.period))


def _overlaps(
    groups: Mapping[tuple[str, str, str], list[_Part]], settings: Mapping[str, str]
) -> Iterator[Overlap]:
    """Yield each pair once. Nothing is left out for what is left out itself, or twice."""

    def rank(export: str) -> tuple[bool, str]:
        return settings.get(export) == "leave-out", export

    left_out: set[Place] = set()
    for period, second, first in sorted(groups):
        if rank(first) > rank(second):
            continue
        others = [part for part in groups[period, first, second] if part.place not in left_out]
        own = [part for part in groups[period, second, first] if part.place not in left_out]
        found = _overlap(period, (first, second), settings, others, own)
        if found.verdict == Verdict.LEFT_OUT:
            left_out.update(found.places)
        if found.accounts:
            yield found


def _overlap(
    period: str,
    exports: tuple[str, str],
    settings: Mapping[str, str],
    others: list[_Part],
    own: list[_Part],
) -> Overlap:
    accounts = {part.account for part in others} & {part.account for part in own}
    mine = [part for part in own if part.account in accounts]
    return Overlap(
        BillingPeriod.parse(period),
        exports,
        _verdict(*map(settings.get, exports)),
        tuple(sorted(accounts)),
        (_added(part for part in others if part.account in accounts), _added(mine)),
        tuple({part.place: None for part in mine}),
    )


def _verdict(first: str | None, second: str | None) -> Verdict:
    if second == "leave-out":
        return Verdict.LEFT_OUT
    return Verdict.ACCEPTED if "count" in (first, second) else Verdict.COUNTED_IN_BOTH


def _added(parts: Iterable[_Part]) -> Costs:
    return added((part.currency, part.cost) for part in parts)


def places_left_out(overlaps: Iterable[Overlap]) -> dict[str, list[str]]:
    """Return what ``IS_LEFT_OUT`` binds: where the charges are that do not count."""
    left_out = [each for each in overlaps if each.verdict == Verdict.LEFT_OUT]
    places = [place for each in left_out for place in each.places]
    return {
        "left_loads": [place.load_id for place in places],
        "left_billing_accounts": [place.billing_account or "" for place in places],
        "left_sub_accounts": [place.sub_account or "" for place in places],
    }


def overlap_lines(
    overlaps: Iterable[Overlap], done: str = "counted in", advice: str = f"; {ADVICE}"
) -> list[str]:
    """Say what totals leave out, and what counts in both exports and the user has not said so."""
    lines = []
    for exports, pair in groupby(overlaps, lambda each: each.exports):
        months = list(pair)
        what, verdict = _what(months), months[0].verdict
        first, second = (
            f"{export} ({money(added(cost for each in months for cost in each.costs[at].items()))})"
            for at, export in enumerate(exports)
        )
        if verdict == Verdict.LEFT_OUT:
            lines.append(f"left out: {second}, {what}, which {first} has, too")
        elif verdict == Verdict.COUNTED_IN_BOTH:
            lines.append(f"{done} both {first} and {second}: {what}{advice}")
    return lines


def _what(months: Sequence[Overlap]) -> str:
    accounts = sorted({account for each in months for account in each.accounts})
    more = f" and {len(accounts) - _SHOWN} more" if len(accounts) > _SHOWN else ""
    span = " to ".join(dict.fromkeys((str(months[0].period), str(months[-1].period))))
    noun = "accounts" if accounts[1:] else "account"
    return f"{noun} {', '.join(accounts[:_SHOWN])}{more} of {span}"
