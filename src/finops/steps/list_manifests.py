"""``list-manifests``: what lies in the bucket. Reads only; records nothing."""

from __future__ import annotations

from finops.config import Export
from finops.delivery import Delivery, FailedDelivery
from finops.storage import open_storage
from finops.vendors import find_vendor


def list_manifests(export: Export) -> list[Delivery | FailedDelivery]:
    """Return the newest delivery of every billing period, newest period first.

    A period whose manifest cannot be read is among them, with its error.
    """
    found: list[Delivery | FailedDelivery] = find_vendor(export.vendor).list_deliveries(
        open_storage(export), export
    )
    return found
