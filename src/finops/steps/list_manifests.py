"""``list-manifests``: what lies in the bucket. Reads only; records nothing."""

from __future__ import annotations

from finops.config import Export
from finops.datadir import DataDir
from finops.delivery import Delivery, FailedDelivery, Survey
from finops.errors import ConfigError
from finops.run import Run
from finops.steps.found_exports import export_sections, list_exports, name_exports
from finops.steps.survey import surveying
from finops.storage import Storage, open_storage
from finops.vendors import find_vendor


def list_manifests(
    data: DataDir, export: Export, run: Run | None = None
) -> list[Delivery | FailedDelivery]:
    """Return the newest delivery of every billing period, newest period first.

    A period whose manifest cannot be read is among them, with its error. Where there are no
    manifests the files are read; for a ``run``, its state knows them from then on.
    """
    storage = open_storage(export)
    with surveying(data, storage, export, run) as survey:
        return list_deliveries(storage, export, survey)


def list_deliveries(
    storage: Storage, export: Export, survey: Survey
) -> list[Delivery | FailedDelivery]:
    """Ask the vendor for the newest delivery of every billing period.

    Raises:
        ConfigError: several exports lie there; it shows the sections to write.
    """
    try:
        found: list[Delivery | FailedDelivery] = find_vendor(export.vendor).list_deliveries(
            storage, export, survey
        )
    except ConfigError as error:
        if error.code == "several-exports":
            sections = export_sections(export.vendor, name_exports(list_exports(export)))
            error.do = (
                f"{error.do}; finops init writes these, and neither prefix nor export_name in"
                f" [{export.vendor}]:\n{sections}"
            )
        raise
    return found
