"""Single records for tests and notebooks: one CUR line item, one FOCUS charge.

Whole exports with manifests come from each vendor's ``sample`` module; these are for an
example that fits on a screen. The same arguments give the same record.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from finops.period import BillingPeriod
from finops.vendors.aws.contract import read_contract

_REGIONS = {
    "us-east-1": ("US East (N. Virginia)", ""),
    "us-west-2": ("US West (Oregon)", "USW2-"),
    "eu-west-1": ("EU (Ireland)", "EU-"),
    "ap-southeast-2": ("Asia Pacific (Sydney)", "APS2-"),
}
_SERVICES = {
    # name: FOCUS category, subcategory, resource type, meter, unit, list price per unit
    "EC2": ("Compute", "Virtual Machines", "Instance", "BoxUsage:m5.large", "Hours", "0.096"),
    "Lambda": (
        "Compute",
        "Serverless Compute",
        "Function",
        "Lambda-GB-Second",
        "GB-Seconds",
        "0.0000166667",
    ),
    "S3": ("Storage", "Object Storage", "Bucket", "TimedStorage-ByteHrs", "GB-Months", "0.023"),
    "RDS": (
        "Databases",
        "Relational Databases",
        "Database",
        "InstanceUsage:db.r5.large",
        "Hours",
        "0.25",
    ),
    "DynamoDB": ("Databases", "NoSQL Databases", "Table", "ReadRequestUnits", "Requests", "2.5E-7"),
}
_OTHER = ("Other", "Other (Other)", "Resource", "Usage", "Units", "0.01")
_PAYER, _ACCOUNT = "012345678910", "023456789011"


def generate_cur_record(
    *,
    billing_period: str | BillingPeriod = "2024-01",
    usage_date: datetime | None = None,
    seed: int = 0,
    **overrides: str,
) -> dict[str, str]:
    """Return one hour of an EC2 instance as a row of CUR 1: every cell is text, empty is ''.

    Keys are the headers of the CSV. ``overrides`` replace cells or add columns, for
    example ``**{"resourceTags/user:Team": "Growth"}``. Amount in hours, cost in USD.

    Raises:
        ValueError: an override is no ``category/name``.
    """
    period, start = _period_and_hour(billing_period, usage_date, seed)
    stop = start + timedelta(hours=1)
    if wrong := [name for name in overrides if "/" not in name]:
        raise ValueError(f"not a CUR column: {', '.join(wrong)}; write category/name")
    headers = [column.original for column in read_contract("v1").values()]
    always = [name for name in headers if not name.startswith(("product/", "discount/", "split"))]
    return (
        dict.fromkeys(always, "")
        | {
            "identity/LineItemId": _digest(seed, period, start)[:52],
            "identity/TimeInterval": f"{_stamp(start)}/{_stamp(stop)}",
            "bill/BillingPeriodStartDate": _stamp(period.start),
            "bill/BillingPeriodEndDate": _stamp(period.end),
            "lineItem/UsageStartDate": _stamp(start),
            "lineItem/UsageEndDate": _stamp(stop),
            "lineItem/ResourceId": f"i-0{_digest('resource', seed)[:16]}",
        }
        | _CUR_INSTANCE
        | overrides
    )


def generate_focus_record(
    *,
    billing_period: str | BillingPeriod = "2024-01",
    service_name: str = "EC2",
    region: str = "us-east-1",
    usage_date: datetime | None = None,
    seed: int = 0,
    **overrides: object,
) -> dict[str, object]:
    """Return one hour of usage as a charge of FOCUS 1.2, with all of its 57 columns.

    Costs are Decimal in USD, times are UTC, what does not apply is None. ``overrides``
    replace columns and may add ``x_`` columns.

    Raises:
        ValueError: an override is no column of FOCUS 1.2.
    """
    period, start = _period_and_hour(billing_period, usage_date, seed)
    record = (
        dict.fromkeys(_FOCUS_NULL)
        | _focus_account()
        | _focus_time(period, start)
        | _focus_service(service_name, region, seed)
    )
    if wrong := [name for name in overrides if name not in record and name[:2] != "x_"]:
        raise ValueError(f"not a column of FOCUS 1.2: {', '.join(wrong)}")
    return dict(sorted(record.items())) | overrides


def _focus_account() -> dict[str, object]:
    return {
        "BillingAccountId": _PAYER,
        "BillingAccountName": "Acme Management",
        "BillingAccountType": "Management",
        "BillingCurrency": "USD",
        "InvoiceIssuerName": "AWS",
        "ProviderName": "AWS",
        "PublisherName": "AWS",
        "SubAccountId": _ACCOUNT,
        "SubAccountName": "Acme Production",
        "SubAccountType": "Member",
        "Tags": {"Environment": "prod", "Team": "Payments"},
    }


def _focus_time(period: BillingPeriod, start: datetime) -> dict[str, object]:
    return {
        "BillingPeriodStart": period.start,
        "BillingPeriodEnd": period.end,
        "ChargePeriodStart": start,
        "ChargePeriodEnd": start + timedelta(hours=1),
        "ChargeCategory": "Usage",
        "ChargeFrequency": "Usage-Based",
    }


def _focus_service(service_name: str, region: str, seed: int) -> dict[str, object]:
    """Return service, price, quantity and costs: four equal costs, as nothing is discounted."""
    category, subcategory, resource, meter, unit, price = _SERVICES.get(service_name, _OTHER)
    place, prefix = _REGIONS.get(region, (region, ""))
    quantity = Decimal(1) if unit == "Hours" else Decimal(1 + _draw("quantity", seed) % 5000)
    cost, sku = quantity * Decimal(price), _digest(service_name, region)[:16].upper()
    name = f"{service_name.lower()}-{_digest('resource', seed)[:8]}"
    return (
        dict.fromkeys(("BilledCost", "EffectiveCost", "ListCost", "ContractedCost"), cost)
        | dict.fromkeys(("ListUnitPrice", "ContractedUnitPrice"), Decimal(price))
        | dict.fromkeys(("PricingQuantity", "ConsumedQuantity"), quantity)
        | dict.fromkeys(("PricingUnit", "ConsumedUnit"), unit)
        | {
            "AvailabilityZone": f"{region}a" if unit == "Hours" else None,
            "ChargeDescription": f"${price} per {unit.removesuffix('s')} of {meter}, {place}",
            "PricingCategory": "Standard",
            "PricingCurrency": "USD",
            "PricingCurrencyContractedUnitPrice": Decimal(price),
            "PricingCurrencyEffectiveCost": cost,
            "PricingCurrencyListUnitPrice": Decimal(price),
            "RegionId": region,
            "RegionName": place,
            "ResourceId": f"arn:aws:{service_name.lower()}:{region}:{_ACCOUNT}:{name}",
            "ResourceName": name,
            "ResourceType": resource,
            "ServiceCategory": category,
            "ServiceName": service_name,
            "ServiceSubcategory": subcategory,
            "SkuId": sku,
            "SkuMeter": f"{prefix}{meter}",
            "SkuPriceDetails": {"x_Region": region},
            "SkuPriceId": f"{sku}.JRTCKXETXF.6YS6EN2CT7",
        }
    )


def _period_and_hour(
    billing_period: str | BillingPeriod, usage_date: datetime | None, seed: int
) -> tuple[BillingPeriod, datetime]:
    """Return the period and an hour of it in UTC; a time without a zone is in UTC."""
    period = (
        billing_period
        if isinstance(billing_period, BillingPeriod)
        else BillingPeriod.parse(billing_period)
    )
    if usage_date is None:
        hours = (period.end - period.start).days * 24
        return period, period.start + timedelta(hours=_draw("hour", seed) % hours)
    zoned = usage_date if usage_date.tzinfo else usage_date.replace(tzinfo=UTC)
    return period, zoned.astimezone(UTC)


def _digest(*parts: object) -> str:
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()


def _draw(*parts: object) -> int:
    return int(_digest(*parts)[:12], 16)


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


_FOCUS_NULL = (
    "CapacityReservationId",
    "CapacityReservationStatus",
    "ChargeClass",
    "CommitmentDiscountCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountQuantity",
    "CommitmentDiscountStatus",
    "CommitmentDiscountType",
    "CommitmentDiscountUnit",
    "InvoiceId",
)
_CUR_INSTANCE = {
    "bill/InvoicingEntity": "Amazon Web Services, Inc.",
    "bill/BillingEntity": "AWS",
    "bill/BillType": "Anniversary",
    "bill/PayerAccountId": _PAYER,
    "lineItem/UsageAccountId": _ACCOUNT,
    "lineItem/LegalEntity": "Amazon Web Services, Inc.",
    "lineItem/LineItemType": "Usage",
    "lineItem/ProductCode": "AmazonEC2",
    "lineItem/UsageType": "BoxUsage:m5.large",
    "lineItem/Operation": "RunInstances",
    "lineItem/AvailabilityZone": "us-east-1a",
    "lineItem/UsageAmount": "1.0000000000",
    "lineItem/NormalizationFactor": "4.0000000000",
    "lineItem/NormalizedUsageAmount": "4.0000000000",
    "lineItem/CurrencyCode": "USD",
    "lineItem/UnblendedRate": "0.0960000000",
    "lineItem/UnblendedCost": "0.0960000000",
    "lineItem/BlendedRate": "0.0960000000",
    "lineItem/BlendedCost": "0.0960000000",
    "lineItem/LineItemDescription": "$0.096 per On Demand Linux m5.large Instance Hour",
    "product/ProductName": "Amazon Elastic Compute Cloud",
    "product/instanceFamily": "General purpose",
    "product/instanceType": "m5.large",
    "product/location": "US East (N. Virginia)",
    "product/operatingSystem": "Linux",
    "product/productFamily": "Compute Instance",
    "product/region": "us-east-1",
    "product/regionCode": "us-east-1",
    "product/servicecode": "AmazonEC2",
    "product/sku": "9G23QA9CK3NU3BRY",
    "product/usagetype": "BoxUsage:m5.large",
    "product/vcpu": "2",
    "pricing/RateCode": "9G23QA9CK3NU3BRY.JRTCKXETXF.6YS6EN2CT7",
    "pricing/currency": "USD",
    "pricing/publicOnDemandCost": "0.0960000000",
    "pricing/publicOnDemandRate": "0.0960000000",
    "pricing/term": "OnDemand",
    "pricing/unit": "Hrs",
}
