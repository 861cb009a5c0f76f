"""What the published store holds of an export, for the steps to compare with and to tell."""

from __future__ import annotations

from dataclasses import dataclass

from finops.config import Export
from finops.datadir import DataDir
from finops.errors import FinopsError, LocalError
from finops.focus.charges import built_charges
from finops.focus.checks import Check, load_checks
from finops.period import BillingPeriod
from finops.sql import Connection
from finops.store.database import reading
from finops.store.dataset import Dataset, stored_exports
from finops.store.ledger import Load, current_loads, held
from finops.vendors import find_vendor


@dataclass(frozen=True, slots=True)
class Charges:
    """The charges of one loaded period, and whose they are."""

    dataset: Dataset
    load: Load

    @property
    def place(self) -> str:
        """Vendor, export and period, as users name them."""
        return f"{self.dataset.export.source} {self.load.period}"

    def money_checks(self) -> list[Check]:
        """Run what runs with every load once more."""
        vendor = find_vendor(self.dataset.export.vendor)
        return load_checks(self.dataset.db, self.dataset.bill(vendor, self.load))


Holds = set[tuple[BillingPeriod, str | None]]


def loaded_periods(data: DataDir, export: Export) -> dict[BillingPeriod, Load]:
    """Return the loads that count now, by period, newest first."""
    if not data.database.exists():
        return {}
    with reading(data) as db:
        return current_loads(db, export.dataset)


def held_deliveries(data: DataDir, export: Export) -> Holds:
    """Return the deliveries and whole periods that are not to be loaded by themselves."""
    if not data.database.exists():
        return set()
    with reading(data) as db:
        return held(db, export.dataset)


def tell_kept(error: FinopsError, load: Load | None) -> None:
    """Add to the error of a failed period what the store still holds of it."""
    error.kept = (
        f"the delivery loaded {load.loaded_at:%Y-%m-%d %H:%M} UTC ({load.rows:,} rows)"
        if load
        else "nothing was loaded for this period before"
    )


def loaded_charges(
    db: Connection, name: str | None = None, period: BillingPeriod | None = None
) -> list[Charges]:
    """Return the loaded periods that have charges, newest first per export.

    Raises:
        LocalError: there are none.
    """
    found = [
        Charges(Dataset(db, export), load)
        for export in stored_exports(db, name)
        for loaded, load in current_loads(db, export.dataset).items()
        if period in (None, loaded) and has_charges(db, export, load)
    ]
    if not found:
        raise LocalError(
            f"there are no charges of {period or 'any period'}",
            code="not-loaded",
            do="finops status; import-cur makes the charges of what is loaded",
        )
    return found


def has_charges(db: Connection, export: Export, load: Load) -> bool:
    """Tell whether the charges of a load are there; an older finops made none."""
    built = built_charges(db, export.dataset).get(load.period)
    return built is not None and built.load_id == load.load_id
