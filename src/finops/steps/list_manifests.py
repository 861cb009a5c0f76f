"""``list-manifests``: what lies in the bucket. Reads only; records nothing."""

from __future__ import annotations

from finops.config import Export
from finops.datadir import DataDir
from finops.delivery import Delivery, FailedDelivery
from finops.state import State
from finops.steps.survey import surveying
from finops.storage import open_storage
from finops.vendors import find_vendor


def list_manifests(
    data: DataDir, export: Export, state: State | None = None
) -> list[Delivery | FailedDelivery]:
    """Return the newest delivery of every billing period, newest period first.

    A period whose manifest cannot be read is among them, with its error. Where there are no
    manifests the files are read; for a run, its ``state`` knows them from then on.
    """
    storage = open_storage(export)
    with surveying(data, storage, export, state) as survey:
        found: list[Delivery | FailedDelivery] = find_vendor(export.vendor).list_deliveries(
            storage, export, survey
        )
    return found
