"""``extract-manifests``: copy the manifests of queued deliveries to staging."""

from __future__ import annotations

from functools import partial

from finops.config import Export
from finops.errors import TemporaryError
from finops.faults import crash_point
from finops.run import Outcome, PeriodResult, Run
from finops.state import Attempt, DeliveryState
from finops.steps.attempts import open_attempts, settle
from finops.storage import MANIFEST_LIMIT, Storage, open_storage

MANIFEST_NAME = "manifest.json"


def extract_manifests(run: Run, export: Export) -> list[PeriodResult]:
    """Put every queued delivery's manifest, as the vendor wrote it, into its staging folder."""
    queued = open_attempts(run, export, DeliveryState.DISCOVERED)
    if not queued:
        return []
    storage = open_storage(export)
    return [
        settle(run, export, attempt, partial(extract_manifest, run, storage)) for attempt in queued
    ]


def extract_manifest(run: Run, storage: Storage, attempt: Attempt) -> PeriodResult:
    """Copy a delivery's manifests; each must still be the one that was discovered."""
    delivery = attempt.delivery
    folder = run.data.staging(delivery)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number, (key, etag) in enumerate(delivery.manifests.items(), 1):
        name = MANIFEST_NAME if number == 1 else f"manifest-{number}.json"
        (folder / name).write_bytes(_unchanged(storage, key, etag))
    crash_point("manifest-staged")
    run.state.set_path(attempt, folder)
    return PeriodResult.of(delivery, Outcome.EXTRACTED)


def _unchanged(storage: Storage, key: str, etag: str) -> bytes:
    body, stored = storage.read_object(key, MANIFEST_LIMIT)
    if stored.etag != etag:
        raise TemporaryError(
            "the manifest changed since it was discovered",
            code="source-changed",
            where=f"{storage.url}/{key}",
            do="run discover-manifests again",
        )
    return body
