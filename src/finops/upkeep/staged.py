"""The deliveries that still lie in staging, and how one of them is loaded once more."""

from __future__ import annotations

from pathlib import Path

from finops.config import Export
from finops.datadir import DataDir
from finops.delivery import Delivery
from finops.errors import BadDataError
from finops.integrity import sha256_of
from finops.period import BillingPeriod
from finops.run import Run
from finops.steps.extract_billing import DELIVERY_NAME, SUMS_NAME, staged_path
from finops.store.ledger import LoadedFile
from finops.store.replace import Staged


def staged_deliveries(
    data: DataDir, export: Export, period: BillingPeriod | None = None
) -> list[Delivery]:
    """Return what lies complete in staging, newest period first, then newest delivery first."""
    place = f"{export.vendor}/{export.name}/{period or '*'}/*/{DELIVERY_NAME}"
    found = [
        Delivery.from_json(path.read_text("utf-8"))
        for path in (data.root / "staging").glob(place)
        if (path.parent / SUMS_NAME).exists()
    ]
    return sorted(found, key=lambda each: (each.period, each.delivered_at), reverse=True)


def damaged_files(data: DataDir, delivery: Delivery) -> list[str]:
    """Return the names of staged files that are no longer what was verified."""
    folder = data.staging(delivery)
    return [
        name
        for name, sha256 in _sums(folder).items()
        if not (folder / name).is_file() or sha256_of(folder / name) != sha256
    ]


def loadable(run: Run, delivery: Delivery) -> Staged:
    """Return a staged delivery so that it can be loaded without asking the vendor.

    Raises:
        BadDataError: a file of it was changed or removed.
    """
    folder = run.data.staging(delivery)
    if damaged := damaged_files(run.data, delivery):
        raise BadDataError(
            f"the staged file {damaged[0]} was changed or removed",
            code="staging-lost",
            where=str(folder),
            kept="the database is as it was",
            do=f"finops {delivery.vendor} import-cur --force --export {delivery.export}"
            f" --start-date {delivery.period} --end-date {delivery.period}",
        )
    sums = _sums(folder)
    paths = [staged_path(folder, position, delivery) for position in range(len(delivery.files))]
    files = tuple(
        (path, LoadedFile(file.key, file.size, file.etag, sums[path.name]))
        for path, file in zip(paths, delivery.files, strict=True)
    )
    return Staged(delivery, files, run.data.temporary, run.lookups, allow_shrink=True)


def _sums(folder: Path) -> dict[str, str]:
    lines = (folder / SUMS_NAME).read_text("utf-8").splitlines()
    return {name: sha256 for sha256, _, name in (line.partition("  ") for line in lines)}
