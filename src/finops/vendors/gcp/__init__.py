"""Google Cloud: standard and detailed usage cost, and the FOCUS table, from files or BigQuery."""

from finops.vendors.gcp.charges import (
    brings_columns,
    charge_rules,
    charges,
    mapping,
    services,
    source_row_id,
    source_totals,
)
from finops.vendors.gcp.contract import (
    check_columns,
    clustering,
    describe_columns,
    find_shape,
    flattens_records,
    row_period,
)
from finops.vendors.listed_files import list_deliveries, list_exports

__all__ = [
    "brings_columns",
    "charge_rules",
    "charges",
    "check_columns",
    "clustering",
    "describe_columns",
    "find_shape",
    "flattens_records",
    "list_deliveries",
    "list_exports",
    "mapping",
    "row_period",
    "services",
    "source_row_id",
    "source_totals",
]
