"""FOCUS files from anyone: OCI, Snowflake, Databricks, LiteLLM, a vendor's own, another tool's."""

from finops.vendors.focus.charges import (
    brings_columns,
    charge_rules,
    charges,
    mapping,
    services,
    source_row_id,
    source_totals,
)
from finops.vendors.focus.contract import (
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
