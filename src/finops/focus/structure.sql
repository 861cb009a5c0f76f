-- What FOCUS 1.2 says of a charge's shape beyond what columns.csv can say of one column.
--
-- Each rule is a name, a sentence with the section it comes from, and one SELECT over the
-- relation charges that returns what breaks it. "Should" marks what FOCUS only recommends.
-- Money (sums, products of price and quantity, what a commitment covers) is checked elsewhere.

-- rule: billing-period-starts-a-month
-- says: BillingPeriodStart is the start of a month. FOCUS 1.2, BillingPeriodStart.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE BillingPeriodStart <> date_trunc('month', BillingPeriodStart);

-- rule: billing-period-lasts-a-month
-- says: BillingPeriodEnd is exclusive, one month after the start. FOCUS 1.2, BillingPeriodEnd.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE BillingPeriodEnd <> BillingPeriodStart + INTERVAL 1 MONTH;

-- rule: charge-period-order
-- says: ChargePeriodStart is before ChargePeriodEnd, which is exclusive.
--     FOCUS 1.2, ChargePeriodEnd.
SELECT BilledCost, x_SourceRowId FROM charges WHERE ChargePeriodStart >= ChargePeriodEnd;

-- rule: charge-frequency-of-purchases
-- says: A purchase is not Usage-Based. FOCUS 1.2, ChargeFrequency.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE ChargeCategory = 'Purchase' AND ChargeFrequency = 'Usage-Based';

-- rule: billing-currency-format
-- says: BillingCurrency is three capital letters. FOCUS 1.2, BillingCurrency and Currency Format.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE BillingCurrency IS NULL OR NOT regexp_full_match(BillingCurrency, '[A-Z]{3}');

-- rule: pricing-currency-format
-- says: PricingCurrency is three capital letters. FOCUS 1.2, PricingCurrency and Currency Format.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE NOT regexp_full_match(PricingCurrency, '[A-Z]{3}');

-- rule: no-placeholders
-- says: Text that is not known is NULL, never blank, NULL or Not Applicable.
--     FOCUS 1.2, Null Handling.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE list_bool_or(list_transform(
    [
        AvailabilityZone, BillingAccountId, BillingAccountName, BillingAccountType,
        CapacityReservationId, ChargeDescription, CommitmentDiscountId, CommitmentDiscountName,
        CommitmentDiscountType, CommitmentDiscountUnit, ConsumedUnit, InvoiceId,
        InvoiceIssuerName, PricingUnit, ProviderName, PublisherName, RegionId, RegionName,
        ResourceId, ResourceName, ResourceType, ServiceName, SkuId, SkuMeter, SkuPriceId,
        SubAccountId, SubAccountName, SubAccountType
    ],
    lambda text: trim(text) IN ('', 'NULL', 'Not Applicable')
));

-- rule: unit-format
-- says: Units should be like Hours, GB-Hours, GB/Hour, 1000 Requests, Requests/3 Months.
--     FOCUS 1.2, Unit Format.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE list_bool_or(list_transform(
    [PricingUnit, ConsumedUnit, CommitmentDiscountUnit],
    lambda unit: NOT regexp_full_match(
        unit,
        '([0-9]+ )?[A-Za-z][A-Za-z0-9]*(\s+[A-Za-z][A-Za-z0-9]*)*'
        || '|[A-Za-z][A-Za-z0-9]*(\s+[A-Za-z][A-Za-z0-9]*)*'
        || '((-|/[0-9]+ )(Year|Month|Day|Hour|Minute|Second)s'
        || '|/(Year|Month|Day|Hour|Minute|Second))'
    )
));

-- rule: tags-are-an-object
-- says: Tags hold a JSON object. FOCUS 1.2, Tags and Key-Value Format.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE CASE WHEN json_valid(Tags) THEN json_type(Tags) <> 'OBJECT' ELSE Tags IS NOT NULL END;

-- rule: tags-have-unique-keys
-- says: A key occurs once in Tags. FOCUS 1.2, Tags and Key-Value Format.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE CASE WHEN json_valid(Tags) THEN list_unique(json_keys(Tags)) < len(json_keys(Tags)) END;

-- rule: tags-hold-scalars
-- says: A value in Tags is a number, text, true, false or null.
--     FOCUS 1.2, Tags and Key-Value Format.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE CASE WHEN json_valid(Tags) THEN list_has_any(
    list_transform(json_extract(Tags, '$.*'), lambda held: json_type(held)), ['OBJECT', 'ARRAY']
) END;

-- rule: sku-price-details-are-an-object
-- says: SkuPriceDetails hold a JSON object. FOCUS 1.2, SkuPriceDetails and Key-Value Format.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE CASE
    WHEN json_valid(SkuPriceDetails) THEN json_type(SkuPriceDetails) <> 'OBJECT'
    ELSE SkuPriceDetails IS NOT NULL
END;

-- rule: sku-price-details-have-unique-keys
-- says: A key occurs once in SkuPriceDetails. FOCUS 1.2, SkuPriceDetails and Key-Value Format.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE CASE WHEN json_valid(SkuPriceDetails)
    THEN list_unique(json_keys(SkuPriceDetails)) < len(json_keys(SkuPriceDetails))
END;

-- rule: sku-price-details-hold-scalars
-- says: A value in SkuPriceDetails is a number, text, true, false or null.
--     FOCUS 1.2, SkuPriceDetails.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE CASE WHEN json_valid(SkuPriceDetails) THEN list_has_any(
    list_transform(json_extract(SkuPriceDetails, '$.*'), lambda held: json_type(held)),
    ['OBJECT', 'ARRAY']
) END;

-- rule: sku-price-details-names
-- says: A key in SkuPriceDetails starts with x_ unless FOCUS defines it.
--     FOCUS 1.2, SkuPriceDetails.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE CASE WHEN json_valid(SkuPriceDetails) THEN list_bool_or(list_transform(
    json_keys(SkuPriceDetails),
    lambda key: NOT starts_with(key, 'x_') AND key NOT IN (
        'CoreCount', 'DiskMaxIops', 'DiskSpace', 'DiskType', 'GpuCount', 'InstanceSeries',
        'InstanceType', 'MemorySize', 'NetworkMaxIops', 'NetworkMaxThroughput',
        'OperatingSystem', 'Redundancy', 'StorageClass'
    )
)) END;

-- rule: commitment-discount-category
-- says: CommitmentDiscountCategory is given exactly with CommitmentDiscountId.
--     FOCUS 1.2, CommitmentDiscountCategory.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE (CommitmentDiscountCategory IS NULL) <> (CommitmentDiscountId IS NULL);

-- rule: commitment-discount-type
-- says: CommitmentDiscountType is given exactly with CommitmentDiscountId.
--     FOCUS 1.2, CommitmentDiscountType.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE (CommitmentDiscountType IS NULL) <> (CommitmentDiscountId IS NULL);

-- rule: commitment-discount-name
-- says: CommitmentDiscountName is only given with CommitmentDiscountId.
--     FOCUS 1.2, CommitmentDiscountName.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE CommitmentDiscountName IS NOT NULL AND CommitmentDiscountId IS NULL;

-- rule: commitment-discount-status
-- says: CommitmentDiscountStatus is given exactly on usage with CommitmentDiscountId.
--     FOCUS 1.2, CommitmentDiscountStatus and Discount Handling.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE (CommitmentDiscountStatus IS NOT NULL)
    <> (CommitmentDiscountId IS NOT NULL AND ChargeCategory IS NOT DISTINCT FROM 'Usage');

-- rule: commitment-discount-quantity
-- says: CommitmentDiscountQuantity is given exactly on usage and purchases with
--     CommitmentDiscountId, corrections may leave it out.
--     FOCUS 1.2, CommitmentDiscountQuantity.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE CASE WHEN CommitmentDiscountId IS NOT NULL AND ChargeCategory IN ('Usage', 'Purchase')
    THEN CommitmentDiscountQuantity IS NULL AND ChargeClass IS DISTINCT FROM 'Correction'
    ELSE CommitmentDiscountQuantity IS NOT NULL
END;

-- rule: commitment-discount-unit
-- says: CommitmentDiscountUnit is given exactly with CommitmentDiscountQuantity.
--     FOCUS 1.2, CommitmentDiscountUnit.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE (CommitmentDiscountUnit IS NULL) <> (CommitmentDiscountQuantity IS NULL);

-- rule: commitment-discount-resource
-- says: Where a commitment is bought or unused, it is the resource. FOCUS 1.2, Discount Handling.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE CommitmentDiscountId IS NOT NULL
    AND (ChargeCategory = 'Purchase' OR CommitmentDiscountStatus = 'Unused')
    AND ResourceId IS DISTINCT FROM CommitmentDiscountId;

-- rule: pricing-category-of-commitments
-- says: Usage with a commitment discount is priced Committed, its purchase is not.
--     FOCUS 1.2, PricingCategory.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE CommitmentDiscountId IS NOT NULL AND ChargeClass IS DISTINCT FROM 'Correction' AND (
    (ChargeCategory = 'Usage' AND PricingCategory IS DISTINCT FROM 'Committed')
    OR (ChargeCategory = 'Purchase' AND PricingCategory = 'Committed')
);

-- rule: capacity-reservation-status
-- says: CapacityReservationStatus is given on usage with CapacityReservationId, and never without
--     the id.
--     FOCUS 1.2, CapacityReservationStatus.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE CASE WHEN CapacityReservationId IS NULL
    THEN CapacityReservationStatus IS NOT NULL
    ELSE CapacityReservationStatus IS NULL AND ChargeCategory = 'Usage'
END;

-- rule: consumed-quantity
-- says: ConsumedQuantity is given exactly on usage that is not Unused, corrections may leave it
--     out.
--     FOCUS 1.2, ConsumedQuantity.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE CASE WHEN ChargeCategory = 'Usage' AND CommitmentDiscountStatus IS DISTINCT FROM 'Unused'
    THEN ConsumedQuantity IS NULL AND ChargeClass IS DISTINCT FROM 'Correction'
    ELSE ConsumedQuantity IS NOT NULL
END;

-- rule: consumed-unit
-- says: ConsumedUnit is given exactly with ConsumedQuantity. FOCUS 1.2, ConsumedUnit.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE (ConsumedUnit IS NULL) <> (ConsumedQuantity IS NULL);

-- rule: pricing-quantity
-- says: PricingQuantity is NULL on tax, and given on usage and purchases that correct nothing.
--     FOCUS 1.2, PricingQuantity.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE (ChargeCategory = 'Tax' AND PricingQuantity IS NOT NULL)
    OR (ChargeCategory IN ('Usage', 'Purchase') AND ChargeClass IS DISTINCT FROM 'Correction'
        AND PricingQuantity IS NULL);

-- rule: pricing-unit
-- says: PricingUnit is given exactly with PricingQuantity. FOCUS 1.2, PricingUnit.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE (PricingUnit IS NULL) <> (PricingQuantity IS NULL);

-- rule: pricing-category
-- says: PricingCategory is NULL on tax, and given on usage and purchases that correct nothing.
--     FOCUS 1.2, PricingCategory.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE (ChargeCategory = 'Tax' AND PricingCategory IS NOT NULL)
    OR (ChargeCategory IN ('Usage', 'Purchase') AND ChargeClass IS DISTINCT FROM 'Correction'
        AND PricingCategory IS NULL);

-- rule: list-unit-price
-- says: ListUnitPrice is NULL on tax, and given on usage and purchases that correct nothing.
--     FOCUS 1.2, ListUnitPrice.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE (ChargeCategory = 'Tax' AND ListUnitPrice IS NOT NULL)
    OR (ChargeCategory IN ('Usage', 'Purchase') AND ChargeClass IS DISTINCT FROM 'Correction'
        AND ListUnitPrice IS NULL);

-- rule: contracted-unit-price
-- says: ContractedUnitPrice is NULL on tax, and given on usage and purchases that correct nothing.
--     FOCUS 1.2, ContractedUnitPrice.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE (ChargeCategory = 'Tax' AND ContractedUnitPrice IS NOT NULL)
    OR (ChargeCategory IN ('Usage', 'Purchase') AND ChargeClass IS DISTINCT FROM 'Correction'
        AND ContractedUnitPrice IS NULL);

-- rule: pricing-currency-prices-of-tax
-- says: The unit prices in PricingCurrency are NULL on tax.
--     FOCUS 1.2, PricingCurrencyListUnitPrice and PricingCurrencyContractedUnitPrice.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE ChargeCategory = 'Tax'
    AND coalesce(PricingCurrencyListUnitPrice, PricingCurrencyContractedUnitPrice) IS NOT NULL;

-- rule: unit-prices-not-negative
-- says: No unit price is negative.
--     FOCUS 1.2, ListUnitPrice, ContractedUnitPrice and those in PricingCurrency.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE least(
    ListUnitPrice, ContractedUnitPrice,
    PricingCurrencyListUnitPrice, PricingCurrencyContractedUnitPrice
) < 0;

-- rule: sku-id
-- says: SkuId is NULL on tax, and given on usage and purchases that correct nothing.
--     FOCUS 1.2, SkuId.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE (ChargeCategory = 'Tax' AND SkuId IS NOT NULL)
    OR (ChargeCategory IN ('Usage', 'Purchase') AND ChargeClass IS DISTINCT FROM 'Correction'
        AND SkuId IS NULL);

-- rule: sku-price-id
-- says: SkuPriceId is NULL on tax, and given on usage and purchases that correct nothing.
--     FOCUS 1.2, SkuPriceId.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE (ChargeCategory = 'Tax' AND SkuPriceId IS NOT NULL)
    OR (ChargeCategory IN ('Usage', 'Purchase') AND ChargeClass IS DISTINCT FROM 'Correction'
        AND SkuPriceId IS NULL);

-- rule: sku-price-id-has-one-sku-id
-- says: A SkuPriceId belongs to exactly one SkuId of its provider. FOCUS 1.2, SkuPriceId.
SELECT BilledCost, x_SourceRowId FROM charges
JOIN (
    SELECT ProviderName, SkuPriceId FROM charges WHERE SkuPriceId IS NOT NULL GROUP BY ALL
    HAVING count(SkuId) < count(*) OR min(SkuId) <> max(SkuId)
) USING (ProviderName, SkuPriceId);

-- rule: sku-meter-has-sku-id
-- says: SkuMeter is only given with SkuId. FOCUS 1.2, SkuMeter.
SELECT BilledCost, x_SourceRowId FROM charges WHERE SkuMeter IS NOT NULL AND SkuId IS NULL;

-- rule: sku-id-has-sku-meter
-- says: SkuMeter should be given with SkuId. FOCUS 1.2, SkuMeter.
SELECT BilledCost, x_SourceRowId FROM charges WHERE SkuMeter IS NULL AND SkuId IS NOT NULL;

-- rule: sku-price-details-have-sku-price-id
-- says: SkuPriceDetails are only given with SkuPriceId. FOCUS 1.2, SkuPriceDetails.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE SkuPriceDetails IS NOT NULL AND SkuPriceId IS NULL;

-- rule: region-name
-- says: RegionName is given exactly with RegionId. FOCUS 1.2, RegionName.
SELECT BilledCost, x_SourceRowId FROM charges WHERE (RegionName IS NULL) <> (RegionId IS NULL);

-- rule: resource-name
-- says: ResourceName is only given with ResourceId. FOCUS 1.2, ResourceName.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE ResourceName IS NOT NULL AND ResourceId IS NULL;

-- rule: resource-type
-- says: ResourceType is given exactly with ResourceId. FOCUS 1.2, ResourceType.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE (ResourceType IS NULL) <> (ResourceId IS NULL);

-- rule: sub-account-name
-- says: SubAccountName is given exactly with SubAccountId. FOCUS 1.2, SubAccountName.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE (SubAccountName IS NULL) <> (SubAccountId IS NULL);

-- rule: sub-account-type
-- says: SubAccountType is given exactly with SubAccountId. FOCUS 1.2, SubAccountType.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE (SubAccountType IS NULL) <> (SubAccountId IS NULL);

-- rule: service-subcategory
-- says: ServiceSubcategory is one of those of its ServiceCategory. FOCUS 1.2, ServiceSubcategory.
SELECT BilledCost, x_SourceRowId FROM charges
ANTI JOIN service_subcategories USING (ServiceCategory, ServiceSubcategory)
WHERE ServiceSubcategory IS NOT NULL;

-- rule: service-name-has-one-category
-- says: A ServiceName has exactly one ServiceCategory with its provider. FOCUS 1.2, ServiceName.
SELECT BilledCost, x_SourceRowId FROM charges
JOIN (
    SELECT ProviderName, ServiceName FROM charges GROUP BY ALL
    HAVING min(ServiceCategory) <> max(ServiceCategory)
) USING (ProviderName, ServiceName);

-- rule: service-name-has-one-subcategory
-- says: A ServiceName should have one ServiceSubcategory with its provider. FOCUS 1.2, ServiceName.
SELECT BilledCost, x_SourceRowId FROM charges
JOIN (
    SELECT ProviderName, ServiceName FROM charges GROUP BY ALL
    HAVING min(ServiceSubcategory) <> max(ServiceSubcategory)
) USING (ProviderName, ServiceName);
