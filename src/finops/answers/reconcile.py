"""``reconcile``: what the bill or an invoice states, what is loaded, and what the rest may be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, localcontext
from importlib.resources import files
from itertools import combinations, starmap
from operator import attrgetter
from typing import TypeVar

from finops.answers.invoices import Invoice
from finops.config import Export
from finops.datadir import DataDir
from finops.errors import LocalError
from finops.money import EXACT
from finops.period import BillingPeriod
from finops.sql import Connection, query
from finops.store.database import reading
from finops.store.dataset import Dataset, stored_exports
from finops.store.ledger import Load, current_loads
from finops.vendors import find_vendor

NOT_INVOICED = "charges without invoice id"
OTHER_INVOICES = "all other invoices of the period"
ROUNDING = "rounding"
# The smallest unit of these is 1, that of others a hundredth. Source: ISO 4217.
_WHOLE = ("CLP", "ISK", "JPY", "KRW", "PYG", "RWF", "UGX", "VND", "XAF", "XOF")
_Loads = Sequence[tuple[Dataset, Load]]
_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Suspect:
    """What a residual may be: parts that the total is without, others that are within it.

    ``amount`` is what they come to in the residual; ``explains`` says that it is all of it.
    """

    without: tuple[str, ...]
    within: tuple[str, ...]
    amount: Decimal
    explains: bool


@dataclass(frozen=True, slots=True)
class Balance:
    """One invoice in one currency: what is stated of it, and what is loaded.

    ``stated`` is None where the user's file does not have the invoice. ``categories`` is what
    is loaded by charge category; where it is empty, nothing is, and ``export`` may be None.
    """

    export: Export | None
    periods: tuple[BillingPeriod, ...]
    invoice_id: str | None
    billing_entity: str | None
    currency: str
    categories: dict[str, Decimal] = field(default_factory=dict)
    stated: Decimal | None = None
    tolerance: Decimal = Decimal(0)
    suspects: tuple[Suspect, ...] = ()

    @property
    def loaded(self) -> Decimal:
        """Billed cost of the charges."""
        return _total(self.categories.values())

    @property
    def residual(self) -> Decimal | None:
        """What is stated and not loaded; negative where more is loaded than stated."""
        return None if self.stated is None else EXACT.subtract(self.stated, self.loaded)

    @property
    def ok(self) -> bool:
        """Whether just what is stated is loaded, or nothing is stated."""
        return self.residual is None or abs(self.residual) <= self.tolerance


@dataclass(frozen=True, slots=True)
class _Part:
    """What is loaded of an invoice in one charge category; ``names`` are what else it is."""

    export: Export
    period: BillingPeriod
    invoice_id: str | None
    billing_entity: str | None
    currency: str
    category: str
    names: list[str]
    services: list[str]
    billed: Decimal

    def is_of(self, invoice: Invoice) -> bool:
        """Tell whether the invoice says what this should come to."""
        return (
            (self.invoice_id, self.currency) == (invoice.invoice_id, invoice.currency)
            and invoice.billing_entity in (None, self.billing_entity)
            and invoice.period in (None, self.period)
        )

    @property
    def outside(self) -> list[str]:
        """What it is to another invoice."""
        if self.invoice_id:
            return [f"invoice {self.invoice_id}", OTHER_INVOICES]
        return [f"{self.billing_entity or ''} {NOT_INVOICED}".lstrip()]


def reconcile_bills(
    data: DataDir, name: str | None = None, period: BillingPeriod | None = None
) -> list[Balance]:
    """Compare line items with charges, to the last digit.

    Returns a balance per export, period, invoice, billing entity and currency.

    Raises:
        LocalError: nothing is loaded, or not ``period``, or its table was dropped by hand.
    """
    with reading(data) as db:
        loads = _loads(db, name, period)
        parts = _grouped(_parts(db, loads), lambda part: (part.export, part.period))
        return [
            balance
            for dataset, load in loads
            for balance in _bill_balances(dataset, load, parts[dataset.export, load.period])
        ]


def reconcile_invoices(
    invoices: Sequence[Invoice],
    data: DataDir,
    name: str | None = None,
    period: BillingPeriod | None = None,
) -> list[Balance]:
    """Compare stated totals with charges, to half of the smallest unit of their currency.

    Returns a balance per stated invoice and export; then one per export, invoice and currency
    that is loaded and not stated.

    Raises:
        LocalError: nothing is loaded, or not ``period``.
    """
    with reading(data) as db:
        _loads(db, name, period)
        parts = _parts(db, _loads(db, name))
    loaded = _grouped(parts, lambda part: part.invoice_id)
    balances: list[Balance] = []
    stated: set[int] = set()
    for invoice in invoices:
        own = [part for part in loaded[invoice.invoice_id] if part.is_of(invoice)]
        balances += _invoice_balances(invoice, own, parts)
        stated.update(map(id, own))
    rest = [part for part in parts if id(part) not in stated]
    balances += map(
        _balance, _grouped(rest, attrgetter("export", "invoice_id", "currency")).values()
    )
    return [each for each in balances if period is None or period in (each.periods or [period])]


def _loads(db: Connection, name: str | None, period: BillingPeriod | None = None) -> _Loads:
    found = [
        (Dataset(db, export), load)
        for export in stored_exports(db, name)
        for loaded, load in current_loads(db, export.dataset).items()
        if period in (None, loaded)
    ]
    if not found:
        what = f"{period} is not loaded" if period else "nothing is loaded"
        raise LocalError(what, code="not-loaded", do="finops status")
    return found


def _parts(db: Connection, loads: _Loads) -> list[_Part]:
    sql = files(__package__).joinpath("reconcile.sql").read_text("utf-8")
    places = {load.load_id: (dataset.export, load.period) for dataset, load in loads}
    rows = query(db, sql, {"load_ids": list(places)})
    return [_Part(*places[load_id], *columns) for load_id, *columns in rows]


def _grouped(
    parts: Iterable[_Part], key: Callable[[_Part], _Key]
) -> defaultdict[_Key, list[_Part]]:
    groups = defaultdict(list)
    for part in parts:
        groups[key(part)].append(part)
    return groups


def _bill_balances(dataset: Dataset, load: Load, parts: list[_Part]) -> Iterator[Balance]:
    """Yield a balance for whatever the line items or the charges of a period have."""
    bill = dataset.bill(find_vendor(dataset.export.vendor), load)
    totals = bill.vendor.source_totals(bill.shape, bill.columns, bill.table)
    rows = query(
        dataset.db,
        f"SELECT invoice_id, billing_entity, currency, coalesce(total, 0)"
        f" FROM ({totals}) ORDER BY ALL",
        {"billing_period": str(load.period)},
    )
    stated = {(invoice, entity, currency): total for invoice, entity, currency, total in rows}
    loaded = _grouped(parts, lambda part: (part.invoice_id, part.billing_entity, part.currency))
    for key in dict.fromkeys((*stated, *loaded)):
        own = loaded[key]
        total = stated.get(key, Decimal(0))
        place = (dataset.export, (load.period,), key[0], key[1], key[2])
        yield _suspected(Balance(*place, _by_category(own), total), own, parts)


def _invoice_balances(invoice: Invoice, own: list[_Part], parts: list[_Part]) -> Iterator[Balance]:
    """Yield a balance for every export that has the invoice; if none has, for none."""
    for group in _grouped(own, lambda part: part.export).values() or [[]]:
        balance = _balance(group) if group else _nothing_loaded(invoice)
        tolerance = Decimal("0.5" if invoice.currency in _WHOLE else "0.005")
        yield _suspected(replace(balance, stated=invoice.total, tolerance=tolerance), group, parts)


def _nothing_loaded(invoice: Invoice) -> Balance:
    periods = (invoice.period,) if invoice.period else ()
    return Balance(None, periods, invoice.invoice_id, invoice.billing_entity, invoice.currency)


def _balance(own: list[_Part]) -> Balance:
    """Return what is loaded of one invoice; its billing entities are named together."""
    entities = ", ".join(sorted({part.billing_entity for part in own if part.billing_entity}))
    place = (own[0].export, tuple(sorted({part.period for part in own})), own[0].invoice_id)
    return Balance(*place, entities or None, own[0].currency, _by_category(own))


def _by_category(own: list[_Part]) -> dict[str, Decimal]:
    groups = _grouped(own, lambda part: part.category)
    return {name: _total(part.billed for part in group) for name, group in groups.items()}


def _total(amounts: Iterable[Decimal]) -> Decimal:
    with localcontext(EXACT):
        return sum(amounts, Decimal(0))


def _suspected(balance: Balance, own: list[_Part], parts: list[_Part]) -> Balance:
    """Add what a residual may be, from all else in the same currency, periods and one export."""
    if balance.ok:
        return balance
    mine = set(map(id, own))
    others = [
        part
        for part in parts
        if part.currency == balance.currency
        and balance.export in (None, part.export)
        and part.period in (balance.periods or [part.period])
        and id(part) not in mine
    ]
    groups = list(_grouped(others, lambda part: part.export).values()) or [[]]
    suspects = [suspect for group in groups for suspect in _suspects(balance, own, group)]
    explained = [suspect for suspect in suspects if suspect.explains]
    return replace(balance, suspects=tuple(explained or suspects))


def _suspects(balance: Balance, own: list[_Part], others: list[_Part]) -> list[Suspect]:
    """Return the one part that the residual is, else two, else whatever is not nothing."""
    amounts = [part.billed.copy_negate() for part in own] + [part.billed for part in others]
    places: dict[str, set[int]] = {name: set() for part in own for name in part.names}
    inside = tuple(places)
    several = len({part.invoice_id for part in others if part.invoice_id}) > 1
    for at, part in enumerate((*own, *others)):
        for name in part.names if at < len(own) else part.outside[: 1 + several]:
            places.setdefault(name, set()).add(at)

    def suspect(*names: str) -> Suspect:
        amount = _total(amounts[at] for at in set().union(*map(places.__getitem__, names)))
        left = EXACT.subtract(balance.residual or Decimal(0), amount)
        without = tuple(name for name in names if name in inside)
        return Suspect(without, names[len(without) :], amount, abs(left) <= balance.tolerance)

    usual = [name for name in places if name in inside or not name.startswith("invoice ")]
    for each in (map(suspect, places), starmap(suspect, combinations(usual, 2))):
        if explained := [found for found in each if found.explains]:
            return explained
    return [*_rounding(balance, own), *filter(lambda found: found.amount, map(suspect, usual))]


def _rounding(balance: Balance, own: list[_Part]) -> Iterator[Suspect]:
    """Yield a suspect where every service may have been rounded to the smallest unit."""
    services = {service for part in own for service in part.services}
    residual = balance.residual or Decimal(0)
    if abs(residual) <= 2 * balance.tolerance * len(services):
        yield Suspect((), (ROUNDING,), residual, explains=False)
