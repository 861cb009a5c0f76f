"""Amazon Web Services: Cost and Usage Reports, legacy (v1) and 2.0, and FOCUS exports."""

from finops.vendors.aws.charges import (
    brings_columns,
    charge_rules,
    charges,
    mapping,
    services,
    source_row_id,
    source_totals,
)
from finops.vendors.aws.contract import (
    check_columns,
    clustering,
    describe_columns,
    flattens_records,
    row_period,
)
from finops.vendors.aws.manifests import list_deliveries, list_exports

__all__ = [
    "brings_columns",
    "charge_rules",
    "charges",
    "check_columns",
    "clustering",
    "describe_columns",
    "flattens_records",
    "list_deliveries",
    "list_exports",
    "mapping",
    "row_period",
    "services",
    "source_row_id",
    "source_totals",
]
