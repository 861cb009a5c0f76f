"""``extract-manifests``: copy the manifests of queued deliveries to staging."""

from __future__ import annotations

from functools import partial

from finops.config import Export
from finops.delivery import Delivery
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
    """Copy one manifest, if there is one; it must still be the one that was discovered."""
    delivery = attempt.delivery
    folder = run.data.staging(delivery)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if delivery.manifest_key:
        (folder / MANIFEST_NAME).write_bytes(_unchanged_manifest(storage, delivery))
    crash_point("manifest-staged")
    run.state.set_path(attempt, folder)
    return PeriodResult.of(delivery, Outcome.EXTRACTED)


def _unchanged_manifest(storage: Storage, delivery: Delivery) -> bytes:
    body, stored = storage.read_object(delivery.manifest_key, MANIFEST_LIMIT)
    if stored.etag != delivery.manifest_etag:
        raise TemporaryError(
            "the manifest changed since it was discovered",
            code="source-changed",
            where=f"{storage.url}/{delivery.manifest_key}",
            do="run discover-manifests again",
        )
    return body
