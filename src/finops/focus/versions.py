"""The views ``focus.v1_0`` … ``v1_4``: the columns of one version, with its meaning of them."""

from __future__ import annotations

from finops.focus.columns import VERSIONS, focus_columns
from finops.sql import Connection, identifier, query

TABLE = identifier("focus", "cost_and_usage")
# 1.4: quantities and unit prices only where there is a price to multiply them with.
_NEEDS_PRICE = (
    "PricingQuantity",
    "PricingUnit",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ListUnitPrice",
    "ContractedUnitPrice",
    "PricingCurrencyListUnitPrice",
    "PricingCurrencyContractedUnitPrice",
)
# What a version means by a column, where it is not what the table holds (the meaning of 1.2).
_MEANINGS = {
    "1.4": {
        **{name: f"CASE WHEN SkuPriceId IS NOT NULL THEN {name} END" for name in _NEEDS_PRICE},
        # 1.4: tax is what it is billed at; these two are never null.
        "EffectiveCost": "CASE WHEN ChargeCategory = 'Tax' THEN BilledCost ELSE EffectiveCost END",
        "PricingCurrency": "coalesce(PricingCurrency, BillingCurrency)",
        "PricingCurrencyEffectiveCost": "CASE"
        " WHEN coalesce(PricingCurrency, BillingCurrency) <> BillingCurrency"
        " THEN PricingCurrencyEffectiveCost"
        " WHEN ChargeCategory = 'Tax' THEN BilledCost ELSE EffectiveCost END",
    },
}


def view_of(version: str) -> str:
    """Return the name of a version's view as SQL names it."""
    return identifier("focus", f"v{version.replace('.', '_')}")


def create_views(db: Connection) -> None:
    """Make the view of every version, its columns in the order of the specification."""
    for version in VERSIONS:
        cells = ", ".join(f"{cell} AS {name}" for name, cell in meanings(version))
        query(db, f"CREATE OR REPLACE VIEW {view_of(version)} AS SELECT {cells} FROM {TABLE}")


def meanings(version: str) -> list[tuple[str, str]]:
    """Return the columns of a version and SQL for what it means by each, over the table.

    Nothing in it is quoted, and it is the same in every warehouse's dialect.
    """
    own = _MEANINGS.get(version, {})
    return [(name, own.get(name, name)) for name in (each.name for each in focus_columns(version))]
