-- Azure line items to FOCUS charges. One rule per column, its source named.
-- Grain: one row per charge. That is one per line item of ActualCost, where usage that a commitment
-- pays for is replaced by the line items that AmortizedCost has of it, used and unused.
-- Costs and unit prices: billing currency, DECIMAL(38,24). Times: UTC, end exclusive.
-- Reads: line_item (one row per line item of either dataset, named as in columns.csv; what a delivery
-- lacks is NULL: see charges.py), service_name, region, unit (lookups), service (service -> category),
-- account (id -> name).
-- Sources: [AZ] = Cost Management, "Understand cost details fields"; [CONVERT] = Microsoft's guide "Convert cost
-- data to FOCUS"; [FOCUS] = specification 1.2, the column of that name; [1.3] = its version 1.3.

-- Which datasets the bill has. Billed cost is ActualCost's alone, so that it is the invoice's whatever
-- AmortizedCost, which another export wrote at another time, has or lacks.
datasets AS (
    SELECT
        count(*) FILTER (dataset_type = 'ActualCost') > 0 AS has_actual,
        count(*) FILTER (dataset_type = 'AmortizedCost') > 0 AS has_amortized
    FROM line_item
),

-- Which rule a line item falls under. Source: [AZ] ChargeType, PricingModel.
kinds AS NOT MATERIALIZED (
    SELECT
        *,
        coalesce(charge_type, 'Usage') AS type,
        is_committed AND (
            coalesce(pricing_model, '') = 'SavingsPlan' OR type = 'UnusedSavingsPlan'
            OR contains(lower(coalesce(benefit_id, '')), 'microsoft.billingbenefits')
        ) AS is_plan,
        CASE
            WHEN is_committed AND dataset_type = 'ActualCost' AND has_amortized
                AND type IN ('Usage', 'UnusedReservation', 'UnusedSavingsPlan') THEN 'CoveredRemainder'
            WHEN is_committed AND dataset_type = 'ActualCost'
                AND type IN ('Usage', 'UnusedReservation', 'UnusedSavingsPlan') THEN 'CoveredUsage'
            WHEN type = 'UnusedReservation' THEN 'ReservationUnused'
            WHEN type = 'UnusedSavingsPlan' THEN 'SavingsPlanUnused'
            WHEN is_committed AND type = 'Refund' THEN 'CommitmentRefund'
            WHEN is_committed AND type IN ('Usage', 'Purchase')
            THEN CASE WHEN is_plan THEN 'SavingsPlan' ELSE 'Reservation' END || type
            WHEN type IN ('Usage', 'Purchase', 'Refund', 'Tax', 'Credit') THEN type
            WHEN type IN ('Adjustment', 'RoundingAdjustment') THEN 'Adjustment'
            ELSE 'Unknown'
        END AS x_RowKind
    FROM line_item CROSS JOIN datasets
),

-- One row per charge. ActualCost has covered usage at no cost; AmortizedCost has it at the commitment's.
charge AS NOT MATERIALIZED (
    SELECT * FROM kinds
    WHERE CASE
        WHEN dataset_type = 'ActualCost' THEN x_RowKind <> 'CoveredRemainder' OR coalesce(cost, 0) <> 0
        WHEN has_actual
        THEN x_RowKind IN ('ReservationUsage', 'SavingsPlanUsage', 'ReservationUnused', 'SavingsPlanUnused')
        ELSE true
    END
),

-- What several columns ask of a charge.
described AS NOT MATERIALIZED (
    SELECT
        *,
        coalesce(cost, 0) AS cost_given,
        x_RowKind IN ('Usage', 'CoveredUsage', 'CoveredRemainder', 'ReservationUsage', 'SavingsPlanUsage') AS is_usage,
        x_RowKind IN ('ReservationUnused', 'SavingsPlanUnused') AS is_unused,
        x_RowKind IN ('Purchase', 'ReservationPurchase', 'SavingsPlanPurchase') AS is_purchase,
        is_usage OR is_unused OR is_purchase AS is_priced,
        publisher_type = 'Marketplace' AS is_marketplace,
        -- Only modern customers (MCA, CSP) are billed in another currency than they are priced in.
        pricing_currency IS NOT NULL AS is_modern,
        CASE WHEN is_modern THEN coalesce(exchange_rate, 1) ELSE 1 END AS rate,
        -- Files from before savings plans name the reservation by its two ids.
        CASE WHEN is_committed THEN lower(rtrim(coalesce(
            benefit_id,
            CASE WHEN contains(reservation_id, '/') THEN reservation_id END,
            '/providers/microsoft.capacity/reservationorders/' || product_order_id || '/reservations/'
                || coalesce(reservation_id, ''),
            reservation_id
        ), '/')) END AS commitment_id,
        CASE WHEN is_usage OR is_purchase OR is_unused THEN coalesce(quantity, 0) END AS given_quantity,
        finops.json_of_members(additional_info) AS details,
        coalesce(try_cast(block_size AS DOUBLE), 1) AS block,
        coalesce(unit, 'Units') AS single_unit,
        -- A date is a day; Azure's last day of a period is in it.
        coalesce(date_trunc('day', charge_date), period_start) AS start,
        lower(CASE WHEN is_unused OR is_purchase OR x_RowKind = 'CommitmentRefund'
            THEN coalesce(commitment_id, resource_id) ELSE resource_id END) AS resource
    FROM charge LEFT JOIN unit USING (unit_of_measure)
),

-- Prices in billing currency, and what the usage comes to at them; NULL where Azure gives none or 0.
rated AS NOT MATERIALIZED (
    SELECT
        *,
        CASE WHEN is_usage THEN nullif(greatest(finops.product(unit_price, rate), 0), 0) END AS unit_price_billed,
        CASE WHEN is_usage THEN nullif(greatest(finops.product(payg_price, rate), 0), 0) END AS payg_price_billed,
        CASE WHEN is_usage THEN nullif(finops.product(unit_price, given_quantity * rate), 0) END AS at_unit_price,
        CASE WHEN is_usage THEN coalesce(
            nullif(payg_cost, 0), nullif(finops.product(payg_price, given_quantity * rate), 0)) END AS at_payg_price
    FROM described
),

-- The four costs. The comment above a branch is what `finops explain` says of a charge.
costed AS NOT MATERIALIZED (
    SELECT
        *,
        -- What the invoice says. Source: [AZ] CostInBillingCurrency of ActualCost; [FOCUS] BilledCost.
        CASE
            -- Paid with the purchase of the commitment, which is a charge of its own.
            WHEN x_RowKind IN ('ReservationUsage', 'SavingsPlanUsage', 'ReservationUnused', 'SavingsPlanUnused') THEN 0
            -- The cost of the line item.
            ELSE cost_given
        END AS BilledCost,

        -- Commitments spread over what they pay. Source: [AZ] CostInBillingCurrency of AmortizedCost; [CONVERT];
        -- [FOCUS] EffectiveCost.
        CASE
            -- It pays for other charges, which have its cost. Without AmortizedCost nothing else has it: as billed.
            WHEN x_RowKind IN ('ReservationPurchase', 'SavingsPlanPurchase', 'CommitmentRefund')
            THEN CASE WHEN has_amortized THEN 0 ELSE cost_given END
            -- Billed beside the commitment; the line item of AmortizedCost has the effective cost.
            WHEN x_RowKind IN ('CoveredRemainder') THEN 0
            -- The amortized cost of what a commitment paid; of all else what was billed.
            ELSE cost_given
        END AS EffectiveCost,

        -- Negotiated price, before commitments. Source: [AZ] UnitPrice; [CONVERT]; [FOCUS] ContractedCost.
        CASE
            -- The unit price of price sheet or contract; where Azure gives none or 0, the effective cost.
            WHEN x_RowKind IN ('Usage', 'CoveredUsage', 'ReservationUsage', 'SavingsPlanUsage')
            THEN coalesce(at_unit_price, EffectiveCost)
            -- Not used at all.
            WHEN x_RowKind IN ('ReservationUnused', 'SavingsPlanUnused') THEN 0
            -- Has no contracted price but its own.
            ELSE cost_given
        END AS ContractedCost,

        -- Public price, before any discount. Source: [AZ] PayGPrice, paygCostInBillingCurrency; [FOCUS] ListCost.
        CASE
            -- Usage at the pay-as-you-go price; where Azure gives none or 0, the contracted cost.
            WHEN x_RowKind IN ('Usage', 'CoveredUsage', 'ReservationUsage', 'SavingsPlanUsage')
            THEN coalesce(at_payg_price, ContractedCost)
            -- Not used at all.
            WHEN x_RowKind IN ('ReservationUnused', 'SavingsPlanUnused') THEN 0
            -- Has no list price but its own.
            ELSE cost_given
        END AS ListCost
    FROM rated
),

-- The price of one unit: as Azure writes it, in billing currency; where it writes none or 0, what a unit came to.
priced_by_unit AS NOT MATERIALIZED (
    SELECT
        *,
        -- Source: [AZ] UnitPrice, PayGPrice; [FOCUS] ContractedUnitPrice, ListUnitPrice: not negative, NULL on tax.
        CASE WHEN is_unused THEN 0 WHEN is_priced THEN coalesce(
            unit_price_billed, finops.unit_price(NULL, ContractedCost, given_quantity)) END AS contracted_price,
        CASE WHEN is_usage THEN coalesce(
            CASE WHEN payg_cost IS NULL THEN payg_price_billed END,
            finops.unit_price(NULL, ListCost, given_quantity)) END AS list_price,
        CASE WHEN is_priced THEN coalesce(product_id, meter_id, part_number, product_name) END AS sku,
        -- The type of a resource is the provider and each second part of what follows it in the id.
        nullif(array_to_string(list_filter(
            string_split(regexp_extract(resource, '^.*/providers/(.+)$', 1), '/'),
            lambda part, position: position = 1 OR position % 2 = 0
        ), '/'), '') AS type_in_id
    FROM costed
),

-- Services as Azure groups them: by the type of the resource, else by its provider, else by the meter. A
-- commitment is of the service that its meter names. Source: [CONVERT] ServiceName; lookup services.csv.
placed AS NOT MATERIALIZED (
    SELECT
        priced_by_unit.*,
        finops.flat_json(finops.json_entries(finops.json_of_members(tags)), '') AS tag_object,
        region.id AS known_region,
        region.name AS known_region_name,
        CASE
            WHEN is_marketplace THEN coalesce(publisher_name, product_name, 'Azure Marketplace')
            WHEN is_unused OR is_purchase THEN coalesce(by_meter.ServiceName, by_provider.ServiceName, meter_category, 'Azure')
            ELSE coalesce(by_type.ServiceName, by_provider.ServiceName, by_meter.ServiceName, meter_category,
                consumed_service, 'Azure')
        END AS service_named
    FROM priced_by_unit
    LEFT JOIN service_name AS by_type ON by_type.key = type_in_id
    LEFT JOIN service_name AS by_provider ON by_provider.key = lower(consumed_service)
    LEFT JOIN service_name AS by_meter ON by_meter.key = lower(meter_category)
    LEFT JOIN region ON region.key = regexp_replace(lower(resource_location), '[^a-z0-9]', '', 'g')
)

SELECT
    -- Lineage.
    source_row_id AS x_SourceRowId,
    x_RowKind,
    type AS x_LineItemType,
    dataset_type AS x_DatasetType,

    -- The four costs, and the price of one PricingUnit.
    BilledCost,
    EffectiveCost,
    ListCost,
    ContractedCost,
    coalesce(list_price, contracted_price) AS ListUnitPrice,
    contracted_price AS ContractedUnitPrice,

    -- Source: [CONVERT] ChargeCategory.
    CASE
        WHEN is_usage OR is_unused THEN 'Usage'
        WHEN is_purchase OR x_RowKind IN ('CommitmentRefund', 'Refund') THEN 'Purchase'
        WHEN x_RowKind IN ('Tax', 'Credit') THEN x_RowKind
        ELSE 'Adjustment'
    END AS ChargeCategory,
    -- Source: [CONVERT] ChargeClass.
    CASE WHEN type = 'Refund' THEN 'Correction' END AS ChargeClass,
    -- Source: [AZ] Frequency; [FOCUS] ChargeFrequency: a purchase is not Usage-Based.
    CASE
        WHEN is_usage OR is_unused THEN 'Usage-Based'
        WHEN frequency = 'Recurring' THEN 'Recurring'
        ELSE 'One-Time'
    END AS ChargeFrequency,
    -- Rounding and unused commitments have no product: then what it is of, or what kind it is.
    coalesce(product_name, meter_name, benefit_name, type) AS ChargeDescription,
    start AS ChargePeriodStart,
    start + INTERVAL 1 DAY AS ChargePeriodEnd,

    -- Source: [AZ] PricingModel; [FOCUS] PricingCategory.
    CASE
        WHEN is_unused OR (is_usage AND is_committed) THEN 'Committed'
        WHEN is_usage AND pricing_model = 'Spot' THEN 'Dynamic'
        WHEN is_priced THEN 'Standard'
    END AS PricingCategory,
    -- Azure counts blocks: 0.0004 of "10K" at 0.1 cost 0.00004. Source: [AZ] Quantity, UnitOfMeasure; lookup units.csv.
    given_quantity AS PricingQuantity,
    CASE WHEN is_priced THEN CASE WHEN block = 1 THEN '' ELSE CAST(CAST(block AS BIGINT) AS VARCHAR) || ' ' END
        || single_unit END AS PricingUnit,
    CASE WHEN is_usage THEN given_quantity * block END AS ConsumedQuantity,
    CASE WHEN is_usage THEN single_unit END AS ConsumedUnit,

    -- Source: [AZ] BenefitId, BenefitName, ReservationId; [CONVERT] CommitmentDiscount*.
    commitment_id AS CommitmentDiscountId,
    CASE WHEN commitment_id IS NOT NULL THEN coalesce(benefit_name, reservation_name) END AS CommitmentDiscountName,
    CASE WHEN commitment_id IS NULL THEN NULL WHEN is_plan THEN 'Spend' ELSE 'Usage' END AS CommitmentDiscountCategory,
    CASE WHEN commitment_id IS NULL THEN NULL WHEN is_plan THEN 'Savings Plan' ELSE 'Reservation' END
        AS CommitmentDiscountType,
    CASE WHEN commitment_id IS NULL THEN NULL WHEN is_unused THEN 'Unused' WHEN is_usage THEN 'Used' END
        AS CommitmentDiscountStatus,
    -- A plan is an amount of money in pricing currency, a reservation is hours, of the smallest size if it is flexible.
    CASE
        WHEN commitment_id IS NULL OR NOT is_priced THEN NULL
        WHEN is_plan THEN CAST(coalesce(nullif(EffectiveCost, 0), cost_given) AS DOUBLE) / nullif(rate, 0)
        ELSE given_quantity * coalesce(TRY_CAST(json_extract_string(details, '$.RINormalizationRatio') AS DOUBLE), 1)
    END AS CommitmentDiscountQuantity,
    CASE
        WHEN CommitmentDiscountQuantity IS NULL THEN NULL
        WHEN is_plan THEN coalesce(pricing_currency, billing_currency)
        WHEN json_extract_string(details, '$.RINormalizationRatio') IS NOT NULL THEN 'Normalized Hours'
        ELSE single_unit
    END AS CommitmentDiscountUnit,
    -- Source: [AZ] AdditionalInfo of on-demand capacity reservations.
    CASE WHEN is_usage THEN lower(json_extract_string(details, '$.VMCapacityReservationId')) END AS CapacityReservationId,
    CASE WHEN CapacityReservationId IS NULL THEN NULL
        WHEN json_extract_string(details, '$.UsageType') = 'ComputeCR' THEN 'Unused' ELSE 'Used' END
        AS CapacityReservationStatus,

    -- Source: [CONVERT] BillingAccountId: of modern customers the profile, which is what is invoiced.
    CASE WHEN is_modern THEN coalesce(billing_profile_id, billing_account_id) ELSE billing_account_id END AS BillingAccountId,
    CASE WHEN is_modern THEN coalesce(billing_profile_name, billing_account_name) ELSE billing_account_name END
        AS BillingAccountName,
    CASE WHEN is_modern AND billing_profile_id IS NOT NULL THEN 'Billing Profile' ELSE 'Billing Account' END
        AS BillingAccountType,
    lower(subscription_id) AS SubAccountId,
    CASE WHEN subscription_id IS NOT NULL THEN coalesce(subscription_name, account.name, subscription_id) END
        AS SubAccountName,
    CASE WHEN subscription_id IS NOT NULL THEN 'Subscription' END AS SubAccountType,
    invoice_id AS InvoiceId,
    coalesce(partner_name, reseller_name, 'Microsoft') AS InvoiceIssuerName,
    'Microsoft' AS ProviderName,
    CASE WHEN publisher_name IS NULL OR publisher_name ILIKE 'Microsoft%' THEN 'Microsoft' ELSE publisher_name END
        AS PublisherName,
    CASE WHEN publisher_name IS NULL OR publisher_name ILIKE 'Microsoft%' THEN 'Microsoft' ELSE publisher_name END
        AS ServiceProviderName,
    CASE WHEN x_RowKind = 'Tax' THEN 'Not Applicable' ELSE 'Microsoft' END AS HostProviderName,
    billing_currency AS BillingCurrency,
    coalesce(pricing_currency, billing_currency) AS PricingCurrency,
    CASE WHEN PricingCurrency = BillingCurrency THEN contracted_price END AS PricingCurrencyContractedUnitPrice,
    CASE WHEN PricingCurrency = BillingCurrency THEN EffectiveCost
        WHEN EffectiveCost = cost_given THEN cost_in_pricing_currency
        ELSE 0 END AS PricingCurrencyEffectiveCost,
    CASE WHEN PricingCurrency = BillingCurrency THEN coalesce(list_price, contracted_price) END
        AS PricingCurrencyListUnitPrice,

    -- Source: lookup services.csv, or the user's own, by name or ConsumedService; [FOCUS] ServiceCategory.
    service_named AS ServiceName,
    CASE WHEN by_code.is_own AND by_name.is_own IS DISTINCT FROM true THEN by_code.category
        ELSE coalesce(by_name.category, by_code.category, 'Other') END AS ServiceCategory,
    CASE WHEN by_code.is_own AND by_name.is_own IS DISTINCT FROM true THEN by_code.subcategory
        ELSE coalesce(by_name.subcategory, by_code.subcategory, 'Other (Other)') END AS ServiceSubcategory,

    -- Source: [AZ] ProductId (MCA), MeterId, MeterName, PartNumber. A price is one of a meter and a pricing model.
    sku AS SkuId,
    sku || '_' || concat_ws('_', part_number, pricing_model, term) AS SkuPriceId,
    CASE WHEN sku IS NOT NULL THEN coalesce(meter_name, meter_category, sku) END AS SkuMeter,
    CASE WHEN sku IS NOT NULL THEN finops.flat_json(list_concat(
        list_transform(finops.json_entries(details), lambda e: {'key': 'x_' || e.key, 'value': e.value}),
        list_filter([
            {'key': 'CoreCount', 'value': json_extract_string(details, '$.VCPUs')},
            {'key': 'InstanceType', 'value': json_extract_string(details, '$.ServiceType')},
            {'key': 'x_Term', 'value': term}
        ], lambda e: e.value IS NOT NULL)
    ), '') END AS SkuPriceDetails,

    -- Source: [AZ] ResourceLocation; lookup regions.csv.
    CASE WHEN lower(trim(resource_location)) NOT IN ('', 'unassigned', 'global', 'all regions', 'unknown', 'n/a')
        THEN coalesce(known_region, regexp_replace(lower(resource_location), '[^a-z0-9]', '', 'g')) END AS RegionId,
    CASE WHEN RegionId IS NOT NULL THEN coalesce(known_region_name, resource_location) END AS RegionName,
    availability_zone AS AvailabilityZone,

    -- Source: [AZ] ResourceId, whose case changes from row to row. Name and type only where there is an id.
    resource AS ResourceId,
    CASE WHEN resource IS NOT NULL THEN coalesce(
        CASE WHEN is_usage THEN resource_name END, nullif(regexp_extract(resource, '([^/]+)/*$', 1), '')) END AS ResourceName,
    CASE WHEN resource IS NOT NULL
        THEN coalesce(type_in_id, lower(resource_type), lower(consumed_service), 'resource') END AS ResourceType,

    -- Members of a JSON object, mostly without its braces. What is none stays beside it. Source: [AZ] Tags.
    tag_object AS Tags,
    CASE WHEN tag_object IS NULL AND trim(tags) <> '{}' THEN tags END AS x_TagsText,

    -- What Azure calls it.
    consumed_service AS x_ServiceCode,
    meter_name AS x_UsageType,
    publisher_type AS x_BillingEntity,
    meter_category AS x_MeterCategory,
    meter_subcategory AS x_MeterSubCategory,
    resource_group AS x_ResourceGroup,
    billing_account_id AS x_BillingAccountId,
    billing_profile_id AS x_BillingProfileId,
    invoice_section_name AS x_InvoiceSectionName,
    cost_center AS x_CostCenter,
    account_name AS x_AccountName,
    cost_allocation_rule AS x_CostAllocationRuleName,
    CASE WHEN is_modern AND dataset_type = 'ActualCost' THEN cost_in_usd END AS x_BilledCostInUsd
FROM placed
LEFT JOIN service AS by_name ON by_name.service = service_named
LEFT JOIN service AS by_code ON by_code.service = consumed_service
LEFT JOIN account ON account.id = lower(subscription_id)
