"""A few charges that keep every rule of FOCUS 1.2, to break one at a time."""

from decimal import Decimal

PLAN = "arn:aws:savingsplans::111111111111:savingsplan/1"
NODE = "arn:aws:ec2:eu-central-1:111111111111:instance/i-1"

# One hour of a machine at 2, of which an agreement takes a tenth.
HOUR = {
    "AvailabilityZone": "eu-central-1a",
    "BilledCost": Decimal("1.8"),
    "BillingAccountId": "000000000001",
    "BillingAccountName": "Example",
    "BillingAccountType": "Management Account",
    "BillingCurrency": "USD",
    "BillingPeriodEnd": "2024-02-01",
    "BillingPeriodStart": "2024-01-01",
    "CapacityReservationId": None,
    "CapacityReservationStatus": None,
    "ChargeCategory": "Usage",
    "ChargeClass": None,
    "ChargeDescription": "$2.00 per hour",
    "ChargeFrequency": "Usage-Based",
    "ChargePeriodEnd": "2024-01-01 01:00:00",
    "ChargePeriodStart": "2024-01-01",
    "CommitmentDiscountCategory": None,
    "CommitmentDiscountId": None,
    "CommitmentDiscountName": None,
    "CommitmentDiscountQuantity": None,
    "CommitmentDiscountStatus": None,
    "CommitmentDiscountType": None,
    "CommitmentDiscountUnit": None,
    "ConsumedQuantity": 1.0,
    "ConsumedUnit": "Hours",
    "ContractedCost": Decimal("1.8"),
    "ContractedUnitPrice": Decimal("1.8"),
    "EffectiveCost": Decimal("1.8"),
    "InvoiceId": "EUINDE24-1",
    "InvoiceIssuerName": "AWS",
    "ListCost": Decimal(2),
    "ListUnitPrice": Decimal(2),
    "PricingCategory": "Standard",
    "PricingCurrency": "USD",
    "PricingCurrencyContractedUnitPrice": Decimal("1.8"),
    "PricingCurrencyEffectiveCost": Decimal("1.8"),
    "PricingCurrencyListUnitPrice": Decimal(2),
    "PricingQuantity": 1.0,
    "PricingUnit": "Hours",
    "ProviderName": "AWS",
    "PublisherName": "AWS",
    "RegionId": "eu-central-1",
    "RegionName": "Europe (Frankfurt)",
    "ResourceId": NODE,
    "ResourceName": "i-1",
    "ResourceType": "instance",
    "ServiceCategory": "Compute",
    "ServiceName": "Amazon Elastic Compute Cloud",
    "ServiceSubcategory": "Virtual Machines",
    "SkuId": "SKU1",
    "SkuMeter": "BoxUsage",
    "SkuPriceDetails": '{"InstanceType":"m5.large","CoreCount":2,"x_Operation":"RunInstances"}',
    "SkuPriceId": "SKU1.TERM.RATE",
    "SubAccountId": "000000000002",
    "SubAccountName": "Shop",
    "SubAccountType": "Linked Account",
    "Tags": '{"env":"live","aws:createdBy":"deploy","obsolete":null}',
}

NO_PLACE = dict.fromkeys(
    ["AvailabilityZone", "RegionId", "RegionName", "ResourceId", "ResourceName", "ResourceType"]
)
NO_USAGE = dict.fromkeys(["ConsumedQuantity", "ConsumedUnit"])
NO_PRICE = dict.fromkeys(
    [
        "ContractedUnitPrice",
        "ListUnitPrice",
        "PricingCategory",
        "PricingCurrencyContractedUnitPrice",
        "PricingCurrencyListUnitPrice",
        "PricingQuantity",
        "PricingUnit",
        "SkuId",
        "SkuMeter",
        "SkuPriceDetails",
        "SkuPriceId",
    ]
)
COMMITTED = {
    "CommitmentDiscountCategory": "Spend",
    "CommitmentDiscountId": PLAN,
    "CommitmentDiscountName": "Compute",
    "CommitmentDiscountQuantity": 1.0,
    "CommitmentDiscountType": "Savings Plan",
    "CommitmentDiscountUnit": "USD",
}
THE_PLAN = {"ResourceId": PLAN, "ResourceName": "1", "ResourceType": "savingsplan"}
ONCE = {"ChargeFrequency": "One-Time"}

CHARGES = {
    "usage": {},
    "used": {
        **COMMITTED,
        "CommitmentDiscountStatus": "Used",
        "PricingCategory": "Committed",
        "BilledCost": Decimal(0),
        "EffectiveCost": Decimal(1),
    },
    "unused": {
        **COMMITTED,
        **NO_PLACE,
        **NO_USAGE,
        **THE_PLAN,
        "CommitmentDiscountStatus": "Unused",
        "PricingCategory": "Committed",
        "BilledCost": Decimal(0),
        "EffectiveCost": Decimal(1),
    },
    "plan": {
        **COMMITTED,
        **NO_PLACE,
        **NO_USAGE,
        **THE_PLAN,
        "ChargeCategory": "Purchase",
        "CommitmentDiscountQuantity": 2.0,
        "ChargeFrequency": "Recurring",
        "BilledCost": Decimal(2),
        "EffectiveCost": Decimal(0),
        "PricingCurrencyEffectiveCost": Decimal(0),
    },
    "support": {
        **NO_PLACE,
        **NO_USAGE,
        "ChargeCategory": "Purchase",
        "ChargeFrequency": "Recurring",
        "PricingUnit": "1000 Requests",
        "ServiceCategory": "Management and Governance",
        "ServiceName": "AWS Support",
        "ServiceSubcategory": "Support",
        "SkuId": "SKU2",
        "SkuMeter": "Support",
        "SkuPriceDetails": None,
        "SkuPriceId": "SKU2",
    },
    "reserved": {
        "CapacityReservationId": "cr-1",
        "CapacityReservationStatus": "Used",
        "ConsumedUnit": "GB-Hours",
        "Tags": None,
    },
    "idle": {
        "CapacityReservationId": "cr-1",
        "CapacityReservationStatus": "Unused",
        "ConsumedUnit": "Requests/3 Months",
    },
    "correction": {**NO_USAGE, **NO_PRICE, "ChargeClass": "Correction", "Tags": "{}"},
    "tax": {**NO_PLACE, **NO_USAGE, **NO_PRICE, **ONCE, "ChargeCategory": "Tax"},
    "credit": {**NO_PLACE, **NO_USAGE, **NO_PRICE, **ONCE, "ChargeCategory": "Credit"},
    "adjustment": {
        **NO_PLACE,
        **NO_USAGE,
        **NO_PRICE,
        **ONCE,
        "ChargeCategory": "Adjustment",
        "InvoiceId": None,
        "SubAccountId": None,
        "SubAccountName": None,
        "SubAccountType": None,
    },
}


def create_charges(db):
    """Create the table ``charges``; ``x_SourceRowId`` is a row's name in ``CHARGES``."""
    columns = [f"{name} {_type(name, value)}" for name, value in HOUR.items()]
    db.execute(f"CREATE TABLE charges ({', '.join(columns)}, x_SourceRowId VARCHAR)")
    rows = [[*{**HOUR, **changed}.values(), name] for name, changed in CHARGES.items()]
    db.executemany(f"INSERT INTO charges VALUES ({', '.join('?' * len(rows[0]))})", rows)


def _type(name, value):
    if isinstance(value, Decimal):
        return "DECIMAL(38,24)"
    if name.endswith("Quantity"):
        return "DOUBLE"
    return "TIMESTAMP" if "Period" in name else "VARCHAR"
