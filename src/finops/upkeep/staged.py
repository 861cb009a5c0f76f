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
from finops.state import Attempt, DeliveryState, StagedFile
from finops.steps.extract_billing import DELIVERY_NAME, SUMS_NAME, staged_path


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


def restage(run: Run, delivery: Delivery) -> Attempt:
    """Queue a staged delivery to be loaded once more, without asking the vendor.

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
    attempt = run.state.discover(delivery, run.run_id)
    if attempt.state == DeliveryState.DISCOVERED:
        attempt = run.state.move(attempt, DeliveryState.DOWNLOADING, path=folder)
        _note_files(run, delivery, folder)
        attempt = run.state.move(attempt, DeliveryState.STAGED)
    return attempt


def _note_files(run: Run, delivery: Delivery, folder: Path) -> None:
    sums = _sums(folder)
    for position, file in enumerate(delivery.files):
        path = staged_path(folder, position, delivery)
        noted = StagedFile(file.key, file.size, file.etag, path, sums[path.name])
        run.state.add_staged_file(delivery, noted)


def _sums(folder: Path) -> dict[str, str]:
    lines = (folder / SUMS_NAME).read_text("utf-8").splitlines()
    return {name: sha256 for sha256, _, name in (line.partition("  ") for line in lines)}
