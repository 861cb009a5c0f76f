"""``rebuild``: make the store again from the deliveries in staging."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from finops.config import Config, Export, unconfigured
from finops.datadir import DataDir
from finops.delivery import Delivery
from finops.errors import ConfigError, FinopsError, LocalError
from finops.run import PeriodResult, Run
from finops.sql import Connection
from finops.steps.load_billing_local import load_staged
from finops.store.database import discard_clone, reading, writing
from finops.store.dataset import Dataset, stored_exports
from finops.store.ledger import current_loads
from finops.upkeep.staged import loadable, staged_deliveries
from finops.upkeep.verify import verify


@contextmanager
def damaged_store_aside(config: Config) -> Iterator[Path | None]:
    """Rename a store that is damaged, and yield its new name; it returns if nothing replaces it.

    Every cell is read to find out. Nothing is renamed for lack of memory, rights or space.

    Raises:
        ConfigError: staging holds deliveries of exports that are not configured.
    """
    data, aside = config.data, None
    if _is_damaged(data):
        _staged_exports(config, [])
        aside = data.database.with_suffix(f".damaged-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
        data.database.rename(aside)
        discard_clone(data)
    try:
        yield aside
    finally:
        if aside and not data.database.exists():
            aside.rename(data.database)


def rebuild(run: Run) -> list[PeriodResult]:
    """Load again from staging what counts now, or the newest of each period in a new store.

    Nothing is asked of the vendor. A loaded period that staging lost stays as it is; one
    that was forgotten stays away.
    """
    stored: list[Export] = []
    if run.data.database.exists():
        with reading(run.data) as db:
            stored = stored_exports(db)
    exports = _staged_exports(run.config, stored)
    with writing(run.data) as db:
        return [
            _load(run, db, export, delivery)
            for export in exports
            for delivery in _chosen(run, db, export)
        ]


def _is_damaged(data: DataDir) -> bool:
    try:
        if data.database.exists():
            verify(data)
    except LocalError as error:
        if error.code != "damaged":
            raise
        return True
    return False


def _staged_exports(config: Config, stored: Sequence[Export]) -> list[Export]:
    """Return the exports that staging has; each must be known to the store or configured."""
    staged = {path.parts[-2:] for path in (config.data_dir / "staging").glob("*/*")}
    known = {(vendor, "default"): unconfigured(vendor) for vendor, _ in staged}
    known |= {(export.vendor, export.name): export for export in (*config.exports, *stored)}
    if missing := sorted(staged - known.keys()):
        vendor, name = missing[0]
        raise ConfigError(
            f"staging holds deliveries of {vendor}/{name}, which is not configured",
            do=f"write [{vendor}.exports.{name}] into config.toml, or remove them from staging",
        )
    return [export for place, export in known.items() if place in staged]


def _chosen(run: Run, db: Connection, export: Export) -> list[Delivery]:
    """Return what counts now, as far as it is staged; of a new dataset the newest of each."""
    loaded = current_loads(db, export.dataset)
    is_new = Dataset(db, export).strategy() is None
    staged: dict[object, Delivery] = {}
    for delivery in staged_deliveries(run.data, export):
        load = loaded.get(delivery.period)
        if is_new or (load and load.fingerprint == delivery.fingerprint):
            staged.setdefault(delivery.period, delivery)
    for period in loaded.keys() - staged.keys():
        run.notice(export, period, "is not in staging any more and stays as it is")
    return list(staged.values())


def _load(run: Run, db: Connection, export: Export, delivery: Delivery) -> PeriodResult:
    load_id = f"{run.run_id}-{export.dataset}-{delivery.period}"
    try:
        return load_staged(run, Dataset(db, export), loadable(run, delivery), load_id)
    except FinopsError as error:
        return PeriodResult.failed(delivery, error)
