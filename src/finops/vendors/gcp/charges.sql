-- Google Cloud line items to FOCUS charges. One rule per column, its source named.
-- Grain: one row per charge. That is one per line item, and one more per promotion in its credits.
-- Costs and unit prices: billing currency, DECIMAL(38,24). Times: UTC, end exclusive.
-- Reads: line_item (one row per line item, named as in columns.csv with _ for the dots; what a delivery
-- lacks is NULL: see charges.py), region, unit (lookups), service (service -> category), account (id -> name).
-- Sources: [GCP] = Cloud Billing, "Structure of Standard data export" and "Structure of Detailed data export";
-- [FOCUS] = specification 1.2, the column of that name; [1.3] = its version 1.3.

-- Credits stay a list beside their cost: joined to it they would multiply it. Amounts keep their digits.
credited AS NOT MATERIALIZED (
    SELECT
        *,
        CASE WHEN length(credits) > 2 THEN list_transform(
            -- The members of an array of flat objects: texts may hold braces, but no bare quotes.
            regexp_extract_all(credits, '\{(?:[^{}"]|"(?:[^"\\]|\\.)*")*\}'),
            lambda credit: {
                'type': coalesce(json_extract_string(credit, '$.type'), ''),
                'name': coalesce(json_extract_string(credit, '$.full_name'), json_extract_string(credit, '$.name')),
                'amount': coalesce(finops.money(nullif(
                    trim(regexp_extract(credit, '"amount"\s*:\s*("[^"]*"|[^,}\s]*)', 1), '"'), 'null')), 0)
            }
        ) ELSE [] END AS credit_list
    FROM line_item
),

-- A promotion pays for usage without making it cheaper, so it is a charge of its own beside the line item's, which
-- is the one without promotion. Source: [FOCUS] ChargeCategory.
charge AS NOT MATERIALIZED (
    SELECT *, unnest(list_prepend(NULL, list_filter(credit_list, lambda credit: credit.type = 'PROMOTION'))) AS promotion
    FROM credited
),

-- Which rule a charge falls under. Source: [GCP] cost_type, credits.type, consumption_model.
kinds AS NOT MATERIALIZED (
    SELECT
        *,
        CASE
            WHEN promotion IS NOT NULL THEN 'Promotion'
            WHEN cost_type = 'tax' THEN 'Tax'
            WHEN cost_type = 'adjustment' THEN 'Adjustment'
            WHEN cost_type = 'rounding_error' THEN 'RoundingError'
            WHEN cost_type <> 'regular' THEN 'Unknown'
            WHEN regexp_matches(sku_description, '^(?i:commitment|committed use)\b') THEN 'CommitmentPurchase'
            WHEN len(list_filter(credit_list, lambda credit: starts_with(credit.type, 'COMMITTED_USAGE_DISCOUNT'))) > 0
                OR consumption_model_description NOT ILIKE 'default%' THEN 'CommittedUsage'
            ELSE 'Usage'
        END AS x_RowKind
    FROM charge
),

-- What several columns ask of a charge.
described AS NOT MATERIALIZED (
    SELECT
        kinds.*,
        x_RowKind IN ('Usage', 'CommittedUsage') AS is_usage,
        is_usage OR x_RowKind = 'CommitmentPurchase' AS is_priced,
        coalesce(cost, 0) AS cost_given,
        coalesce(list_sum(list_transform(
            list_filter(credit_list, lambda credit: credit.type <> 'PROMOTION'), lambda credit: credit.amount
        )), 0) AS credits_given,
        CASE WHEN is_priced THEN coalesce(usage_amount_in_pricing_units, usage_amount, 0) END AS priced_quantity,
        coalesce(pricing.name, usage_pricing_unit, price_unit, 'Units') AS priced_unit,
        coalesce(consumed.name, usage_unit, 'Units') AS consumed_in,
        coalesce(usage_start_time, period_start) AS start,
        coalesce(resource_global_name, resource_name) AS resource,
        coalesce(price_effective_price_default, price_effective_price) / coalesce(nullif(price_pricing_unit_quantity, 0), 1)
            AS contracted_rate,
        price_list_price / coalesce(nullif(price_pricing_unit_quantity, 0), 1) AS list_rate,
        coalesce(service_description, service_id, 'Google Cloud') AS service_named
    FROM kinds
    LEFT JOIN unit AS pricing ON pricing.unit = lower(usage_pricing_unit)
    LEFT JOIN unit AS consumed ON consumed.unit = lower(usage_unit)
),

-- The four costs. The comment above a branch is what `finops explain` says of a charge.
costed AS NOT MATERIALIZED (
    SELECT
        *,
        -- What is paid. Source: [GCP] cost and credits.amount; [FOCUS] BilledCost.
        CASE
            -- The amount of the credit, which is below zero.
            WHEN x_RowKind IN ('Promotion') THEN promotion.amount
            -- Cost and all credits of the line item but promotions, which are charges of their own.
            ELSE CAST(cost_given + credits_given AS DECIMAL(38, 24))
        END AS BilledCost,

        -- What Google's own FOCUS table says, too. Source: [GCP] cost and credits.amount; [FOCUS] EffectiveCost.
        CASE
            -- As billed: the export does not say which usage the fee of a commitment paid for.
            WHEN x_RowKind IN ('CommittedUsage', 'CommitmentPurchase') THEN BilledCost
            -- As billed: no commitment pays for it.
            ELSE BilledCost
        END AS EffectiveCost,

        -- Negotiated price, before commitments. Source: [GCP] cost, cost_at_effective_price_default; [FOCUS] ContractedCost.
        CASE
            -- The cost before credits; where a commitment lowered that, the cost at the price without it.
            WHEN x_RowKind IN ('Usage', 'CommittedUsage') THEN coalesce(cost_at_effective_price_default, cost_given)
            -- The fee before credits.
            WHEN x_RowKind IN ('CommitmentPurchase') THEN cost_given
            -- Has no contracted price but its own.
            ELSE BilledCost
        END AS ContractedCost,

        -- Public price, before any discount. Source: [GCP] cost_at_list; [FOCUS] ListCost.
        CASE
            -- The cost at list price; where an older export has none, the contracted cost.
            WHEN x_RowKind IN ('Usage', 'CommittedUsage', 'CommitmentPurchase') THEN coalesce(cost_at_list, ContractedCost)
            -- Has no list price but its own.
            ELSE BilledCost
        END AS ListCost
    FROM described
),

-- The price of one unit: as Google writes it where that makes the cost, else what a unit came to. Usage may cross
-- tiers, and a list price may be one without its conversion. Source: [GCP] price; [FOCUS] *UnitPrice: not negative.
placed AS NOT MATERIALIZED (
    SELECT
        costed.*,
        CASE WHEN is_priced THEN finops.unit_price(CASE
            WHEN priced_quantity = 0 OR abs(contracted_rate * priced_quantity - CAST(ContractedCost AS DOUBLE))
                <= 0.000001 * abs(CAST(ContractedCost AS DOUBLE)) THEN CAST(contracted_rate AS VARCHAR)
        END, ContractedCost, priced_quantity) END AS contracted_price,
        CASE WHEN is_priced THEN finops.unit_price(CASE
            WHEN priced_quantity = 0 OR abs(list_rate * priced_quantity - CAST(ListCost AS DOUBLE))
                <= 0.000001 * abs(CAST(ListCost AS DOUBLE)) THEN CAST(list_rate AS VARCHAR)
        END, ListCost, priced_quantity) END AS list_price,
        CASE WHEN is_priced THEN sku_id END AS sku,
        1 / nullif(currency_conversion_rate, 0) AS to_usd,
        region.name AS known_region_name
    FROM costed LEFT JOIN region ON region.id = location_region
)

SELECT
    -- Lineage.
    source_row_id AS x_SourceRowId,
    x_RowKind,
    cost_type AS x_LineItemType,

    -- The four costs, and the price of one PricingUnit.
    BilledCost,
    EffectiveCost,
    ListCost,
    ContractedCost,
    list_price AS ListUnitPrice,
    contracted_price AS ContractedUnitPrice,

    -- Source: [GCP] cost_type, credits.type, sku.description.
    CASE
        WHEN is_usage THEN 'Usage'
        WHEN x_RowKind = 'CommitmentPurchase' THEN 'Purchase'
        WHEN x_RowKind = 'Tax' THEN 'Tax'
        WHEN x_RowKind = 'Promotion' THEN 'Credit'
        ELSE 'Adjustment'
    END AS ChargeCategory,
    -- What adjusts, or adds late, to a month that was invoiced before. Source: [GCP] adjustment_info, invoice.month.
    CASE WHEN usage_start_time < period_start - INTERVAL 1 DAY
        OR (usage_start_time < period_start
            AND coalesce(adjustment_info_id, adjustment_info_mode, adjustment_info_type) IS NOT NULL)
        THEN 'Correction' END AS ChargeClass,
    CASE WHEN is_usage THEN 'Usage-Based' WHEN x_RowKind = 'CommitmentPurchase' THEN 'Recurring' ELSE 'One-Time' END
        AS ChargeFrequency,
    coalesce(promotion.name, adjustment_info_description, sku_description, cost_type) AS ChargeDescription,
    start AS ChargePeriodStart,
    CASE WHEN usage_end_time > start THEN usage_end_time ELSE start + INTERVAL 1 HOUR END AS ChargePeriodEnd,

    -- Source: [GCP] credits.type, sku.description; [FOCUS] PricingCategory.
    CASE
        WHEN x_RowKind = 'CommittedUsage' THEN 'Committed'
        WHEN is_usage AND regexp_matches(sku_description, '^(?i:spot|preemptible)\b') THEN 'Dynamic'
        WHEN is_priced THEN 'Standard'
    END AS PricingCategory,
    priced_quantity AS PricingQuantity,
    CASE WHEN is_priced THEN priced_unit END AS PricingUnit,
    CASE WHEN is_usage THEN coalesce(usage_amount, 0) END AS ConsumedQuantity,
    CASE WHEN is_usage THEN consumed_in END AS ConsumedUnit,

    -- Account-level charges have no project, and no bill says what its account is called. Source: [GCP] billing_account_id, project.
    billing_account_id AS BillingAccountId,
    payer.name AS BillingAccountName,
    'Billing Account' AS BillingAccountType,
    project_id AS SubAccountId,
    CASE WHEN project_id IS NOT NULL THEN coalesce(project_name, account.name, project_id) END AS SubAccountName,
    CASE WHEN project_id IS NOT NULL THEN 'Project' END AS SubAccountType,
    'Google Cloud' AS InvoiceIssuerName,
    'Google Cloud' AS ProviderName,
    coalesce(seller_name, 'Google Cloud') AS PublisherName,
    coalesce(seller_name, 'Google Cloud') AS ServiceProviderName,
    CASE WHEN x_RowKind = 'Tax' THEN 'Not Applicable' ELSE 'Google Cloud' END AS HostProviderName,
    currency AS BillingCurrency,
    -- Prices are in dollars; the rate is that of the invoice. Source: [GCP] currency_conversion_rate.
    CASE WHEN to_usd IS NULL THEN currency ELSE 'USD' END AS PricingCurrency,
    CASE WHEN PricingCurrency = currency THEN contracted_price ELSE finops.product(contracted_price, to_usd) END
        AS PricingCurrencyContractedUnitPrice,
    CASE WHEN PricingCurrency = currency THEN EffectiveCost ELSE finops.product(EffectiveCost, to_usd) END
        AS PricingCurrencyEffectiveCost,
    CASE WHEN PricingCurrency = currency THEN list_price ELSE finops.product(list_price, to_usd) END
        AS PricingCurrencyListUnitPrice,

    -- Source: lookup services.csv, or the user's own, by description or id; [FOCUS] ServiceCategory.
    service_named AS ServiceName,
    CASE WHEN by_code.is_own AND by_name.is_own IS DISTINCT FROM true THEN by_code.category
        ELSE coalesce(by_name.category, by_code.category, 'Other') END AS ServiceCategory,
    CASE WHEN by_code.is_own AND by_name.is_own IS DISTINCT FROM true THEN by_code.subcategory
        ELSE coalesce(by_name.subcategory, by_code.subcategory, 'Other (Other)') END AS ServiceSubcategory,

    -- A price is one of a SKU's tiers. Source: [GCP] sku, price.tier_start_amount, system_labels.
    sku AS SkuId,
    sku || coalesce('_' || regexp_replace(CAST(price_tier_start_amount AS VARCHAR), '\.0$', ''), '') AS SkuPriceId,
    CASE WHEN sku IS NOT NULL THEN coalesce(sku_description, sku) END AS SkuMeter,
    CASE WHEN sku IS NOT NULL THEN finops.flat_json(list_transform(
        list_filter(tag_entries, lambda e: e.key IN (
            'compute.googleapis.com/cores', 'compute.googleapis.com/machine_spec')),
        lambda e: {'key': CASE WHEN e.key LIKE '%cores' THEN 'CoreCount' ELSE 'InstanceType' END, 'value': e.value}
    ), '') END AS SkuPriceDetails,

    -- A multi-region (us, eu) is no region. Source: [GCP] location; lookup regions.csv.
    location_region AS RegionId,
    CASE WHEN location_region IS NOT NULL THEN coalesce(known_region_name, location_region) END AS RegionName,
    location_zone AS AvailabilityZone,

    -- The type is the collection before the id. Source: [GCP] resource; NULL in the standard export.
    resource AS ResourceId,
    CASE WHEN resource IS NOT NULL THEN resource_name END AS ResourceName,
    CASE WHEN resource IS NOT NULL
        THEN coalesce(nullif(regexp_extract(resource, '([^/]+)/[^/]+$', 1), ''), 'resource') END AS ResourceType,

    -- Of the same key a tag counts before a label, a label before its project's, and the last are
    -- Google's own. Source: [GCP] tags, labels.
    finops.flat_json(tag_entries, '') AS Tags,

    -- What Google calls it.
    service_id AS x_ServiceCode,
    sku_description AS x_UsageType,
    transaction_type AS x_BillingEntity,
    CASE WHEN promotion IS NULL THEN credits END AS x_Credits,
    promotion.name AS x_CreditName,
    project_number AS x_ProjectNumber,
    project_ancestry_numbers AS x_ProjectAncestryNumbers,
    location_location AS x_Location,
    subscription_instance_id AS x_SubscriptionInstanceId,
    consumption_model_id AS x_ConsumptionModelId,
    consumption_model_description AS x_ConsumptionModelDescription,
    adjustment_info_id AS x_AdjustmentId,
    currency_conversion_rate AS x_CurrencyConversionRate,
    export_time AS x_ExportTime
FROM placed
LEFT JOIN service AS by_name ON by_name.service = service_named
LEFT JOIN service AS by_code ON by_code.service = service_id
LEFT JOIN account ON account.id = project_id
LEFT JOIN account AS payer ON payer.id = billing_account_id
