-- AWS line items to FOCUS charges. One rule per column, its source named.
-- Grain: one row per charge. That is one per line item, and one more for the unused part of a
-- commitment. Costs and unit prices: billing currency, DECIMAL(38,24). Times: UTC, end exclusive.
-- Reads: line_item (one row per line item, named as in CUR 2.0; what a delivery lacks is NULL, maps are
-- JSON: see charges.py), service (service -> category), account (id -> name).
-- Sources: [CUR] = CUR 2.0 table dictionary and "Understanding your data" of the Data Exports user
-- guide; [FOCUS] = specification 1.2, the column of that name; [1.3] = its version 1.3.

-- Net or unblended: once per period, never row by row, or discounts would count twice or not at all. Net
-- only where all that costs something has a net cost, save the discounts that are in it.
-- Source: [CUR] lineItem/NetUnblendedCost: "only when your account has a discount in the period".
basis AS (
    SELECT count(line_item_net_unblended_cost) > 0 AND count(*) FILTER (
        line_item_unblended_cost <> 0 AND line_item_net_unblended_cost IS NULL
        AND coalesce(line_item_line_item_type, '') NOT LIKE '%Discount'
    ) = 0 AS is_net
    FROM line_item
),

-- Which rule a line item falls under. Source: [CUR] lineItem/LineItemType.
kinds AS NOT MATERIALIZED (
    SELECT
        *,
        line_item_line_item_type AS type,
        coalesce(savings_plan_savings_plan_a_r_n, reservation_reservation_a_r_n) AS commitment,
        nullif(coalesce(product_region_code, product_region), 'global') AS region_id,
        CASE
            WHEN split_line_item_parent_resource_id IS NOT NULL THEN 'SplitUsage'
            WHEN type IN (
                'Usage', 'DiscountedUsage', 'SavingsPlanCoveredUsage', 'SavingsPlanNegation',
                'SavingsPlanRecurringFee', 'SavingsPlanUpfrontFee', 'RIFee', 'Tax', 'Credit'
            ) THEN type
            WHEN type = 'Fee' AND reservation_reservation_a_r_n IS NOT NULL THEN 'ReservationUpfrontFee'
            WHEN type IN ('Fee', 'FlatRateSubscription') THEN 'Fee'
            WHEN type = 'Refund' AND (
                commitment IS NOT NULL
                OR regexp_matches(line_item_line_item_description, 'savings plan|reserved (instance|node|capacity)', 'i')
            ) THEN 'CommitmentRefund'
            WHEN type = 'Refund' THEN 'Refund'
            WHEN type LIKE '%Discount' THEN 'Discount'
            ELSE 'Unknown'
        END AS kind
    FROM line_item CROSS JOIN basis
),

-- What a line item costs, and what of a commitment's fee was not used.
priced AS NOT MATERIALIZED (
    SELECT
        *,
        coalesce(savings_plan_total_commitment_to_date - savings_plan_used_commitment, 0) AS unused_commitment,
        -- The share of the plan's fee that is left after discounts, a ratio without unit.
        CASE WHEN is_net THEN coalesce(
            CAST(savings_plan_net_recurring_commitment_for_billing_period
                + savings_plan_net_amortized_upfront_commitment_for_billing_period AS DOUBLE)
            / nullif(CAST(savings_plan_recurring_commitment_for_billing_period
                + savings_plan_amortized_upfront_commitment_for_billing_period AS DOUBLE), 0),
        1) ELSE 1 END AS net_share,
        CASE
            WHEN is_net THEN coalesce(line_item_net_unblended_cost, 0)
            ELSE coalesce(line_item_unblended_cost, 0)
        END AS cost,
        CASE
            WHEN kind = 'RIFee' AND is_net
            THEN coalesce(reservation_net_unused_amortized_upfront_fee_for_billing_period,
                reservation_unused_amortized_upfront_fee_for_billing_period, 0)
                + coalesce(reservation_net_unused_recurring_fee, reservation_unused_recurring_fee, 0)
            WHEN kind = 'RIFee'
            THEN coalesce(reservation_unused_amortized_upfront_fee_for_billing_period, 0)
                + coalesce(reservation_unused_recurring_fee, 0)
            WHEN kind = 'SavingsPlanRecurringFee' AND net_share <> 1
            THEN finops.money_of_double(round(CAST(unused_commitment AS DOUBLE) * net_share, 10))
            WHEN kind = 'SavingsPlanRecurringFee' THEN unused_commitment
            ELSE 0
        END AS unused_cost
    FROM kinds
),

-- What the negations of a Savings Plan do not take off again on an invoice, and the one row that bears it.
-- Source: [CUR] SavingsPlanNegation "cancels out" the covered usage; the bill decides, not we.
-- [FOCUS] BilledCost: it adds up to what is payable of each invoice.
residual AS (
    SELECT
        coalesce(min(line_number) FILTER (kind = 'SavingsPlanNegation'), min(line_number)) AS line_number,
        sum(cost) AS left_over
    FROM priced
    WHERE kind IN ('SavingsPlanCoveredUsage', 'SavingsPlanNegation')
    GROUP BY savings_plan_savings_plan_a_r_n, line_item_currency_code, bill_invoice_id, bill_billing_entity
    HAVING sum(cost) <> 0
),

-- Some rows lack the name of their product or region; other rows of the same bill have it.
product_name AS (
    SELECT line_item_product_code, min(product_product_name) AS name_in_bill FROM line_item GROUP BY ALL
),
region_name AS (
    SELECT region_id, min(product_location) AS location_in_bill
    FROM kinds WHERE coalesce(product_location_type, 'AWS Region') = 'AWS Region' GROUP BY ALL
),

-- One row per charge: a fee with an unused part makes a second one.
charge AS NOT MATERIALIZED (
    SELECT
        *,
        coalesce(left_over, 0) AS residual_cost,
        unnest(CASE
            WHEN unused_cost <> 0 AND kind = 'RIFee' THEN ['RIFee', 'UnusedReservation']
            WHEN unused_cost <> 0 THEN ['SavingsPlanRecurringFee', 'UnusedSavingsPlan']
            ELSE [kind]
        END) AS x_RowKind,
        -- EBS and data transfer are billed as EC2: a service has exactly one category. [FOCUS] ServiceName.
        CASE
            WHEN bill_billing_entity = 'AWS Marketplace' THEN coalesce(product_product_name, line_item_product_code)
            WHEN line_item_product_code = 'AmazonEC2' AND (
                line_item_usage_type LIKE '%EBS:%'
                OR product_product_family IN ('Storage', 'Storage Snapshot', 'System Operation')
            ) THEN 'Amazon Elastic Block Store'
            WHEN line_item_product_code = 'AmazonEC2' AND product_product_family = 'Data Transfer'
            THEN 'AWS Data Transfer'
            ELSE coalesce(product_product_name, name_in_bill, line_item_product_code, 'AWS')
        END AS service_name
    FROM priced
    LEFT JOIN residual USING (line_number)
    LEFT JOIN product_name USING (line_item_product_code)
    LEFT JOIN region_name USING (region_id)
),

-- What several columns ask of a charge.
described AS NOT MATERIALIZED (
    SELECT
        *,
        x_RowKind IN (
            'Usage', 'SplitUsage', 'DiscountedUsage', 'SavingsPlanCoveredUsage', 'SavingsPlanNegation'
        ) AS is_usage,
        x_RowKind IN ('UnusedReservation', 'UnusedSavingsPlan') AS is_unused,
        x_RowKind IN (
            'DiscountedUsage', 'SavingsPlanCoveredUsage', 'SavingsPlanNegation',
            'UnusedReservation', 'UnusedSavingsPlan'
        ) AS is_committed,
        x_RowKind IN (
            'Fee', 'RIFee', 'ReservationUpfrontFee', 'SavingsPlanRecurringFee', 'SavingsPlanUpfrontFee'
        ) AS is_purchase,
        bill_billing_entity = 'AWS Marketplace' AS is_marketplace,
        CASE WHEN is_committed OR is_purchase OR x_RowKind = 'CommitmentRefund' THEN commitment END AS commitment_id,
        is_usage OR is_unused OR is_purchase AS is_priced,
        -- AWS writes 0 where there is no public price, as for Spot.
        nullif(pricing_public_on_demand_cost, 0) AS public_cost,
        CASE WHEN x_RowKind = 'SavingsPlanNegation' THEN 0
            WHEN is_usage OR is_purchase THEN coalesce(line_item_usage_amount, 0)
            WHEN x_RowKind = 'UnusedReservation' THEN coalesce(reservation_unused_quantity, 0)
            WHEN is_unused THEN CAST(unused_commitment AS DOUBLE) END AS quantity,
        product_sku IS NOT NULL AND is_priced AS has_sku,
        coalesce(line_item_usage_start_date, bill_billing_period_start_date) AS start,
        coalesce(line_item_usage_end_date, bill_billing_period_end_date) AS stop,
        CASE WHEN x_RowKind = 'SplitUsage' THEN split_line_item_parent_resource_id
            WHEN commitment IS NOT NULL AND (is_unused OR is_purchase) THEN commitment
            ELSE line_item_resource_id END AS resource_id,
        -- Hrs -> Hours, GB-Mo -> GB-Months, Lambda-GB-Second -> GB-Seconds, 64K-Chunks -> 64 KB Chunks.
        regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(
            coalesce(nullif(nullif(nullif(pricing_unit, ''), 'N/A'), 'Quantity'), 'Units'),
            '(^|-)([Hh](ou)?rs?)$', '\1Hours'), '-[Mm]o(nths?)?$', '-Months'), '^Lambda-', ''),
            '(^|-)[Ss]econds?$', '\1Seconds'), '^([0-9]+)([KMGT])-', '\1 \2B ') AS unit
    FROM charge
),

-- The four costs. The comment above a branch is what `finops explain` says of a charge.
costed AS NOT MATERIALIZED (
    SELECT
        *,
        -- What the invoice says. Source: [CUR] lineItem/UnblendedCost, NetUnblendedCost; [FOCUS] BilledCost.
        CASE
            -- On-demand price of usage that a plan pays: the negation takes it off again. What it leaves stays.
            WHEN x_RowKind IN ('SavingsPlanCoveredUsage', 'SavingsPlanNegation') THEN residual_cost
            -- The fee was billed; its unused part is no second invoice item.
            WHEN x_RowKind IN ('UnusedReservation', 'UnusedSavingsPlan') THEN 0
            -- The cost of the line item: net where the period has net costs, else unblended.
            ELSE cost
        END AS BilledCost,

        -- Commitments spread over what they pay. Source: [CUR] "Understanding Savings Plans / reservations in CUR";
        -- [FOCUS] EffectiveCost.
        CASE
            -- The plan's price of the usage.
            WHEN x_RowKind IN ('SavingsPlanCoveredUsage') THEN coalesce(
                CASE WHEN is_net THEN savings_plan_net_savings_plan_effective_cost END,
                savings_plan_savings_plan_effective_cost, cost)
            -- The reservation's price of the usage; AWS gives none for Dedicated Hosts.
            WHEN x_RowKind IN ('DiscountedUsage') THEN coalesce(
                CASE WHEN is_net THEN reservation_net_effective_cost END, reservation_effective_cost, cost)
            -- A purchase, or its refund, that pays for other charges; and what only cancels covered usage.
            WHEN x_RowKind IN (
                'SavingsPlanNegation', 'SavingsPlanRecurringFee', 'SavingsPlanUpfrontFee', 'RIFee',
                'ReservationUpfrontFee', 'CommitmentRefund'
            ) THEN 0
            -- What was paid for and not used: unused upfront share and recurring fee, or commitment less its use.
            WHEN x_RowKind IN ('UnusedReservation', 'UnusedSavingsPlan') THEN unused_cost
            -- Nothing else is covered by a commitment: as billed.
            ELSE cost
        END AS EffectiveCost,

        -- Negotiated price, before commitments. Source: [CUR] lineItem/UnblendedCost; [FOCUS] ContractedCost.
        CASE
            -- Unblended cost has private pricing in it, and for plan-covered usage is the price without the plan.
            WHEN x_RowKind IN ('Usage', 'SavingsPlanCoveredUsage') THEN coalesce(line_item_unblended_cost, 0)
            -- Its own unblended cost is 0: the price without the reservation is the public one.
            WHEN x_RowKind IN ('DiscountedUsage') THEN coalesce(public_cost, reservation_effective_cost, cost)
            -- Counted with the usage, or not used at all.
            WHEN x_RowKind IN ('SavingsPlanNegation', 'UnusedReservation', 'UnusedSavingsPlan') THEN 0
            -- Has no contracted price but its own.
            ELSE cost
        END AS ContractedCost,

        -- Public on-demand price, before any discount. Source: [CUR] pricing/publicOnDemandCost; [FOCUS] ListCost.
        CASE
            -- Usage at the public price; where AWS names none, the contracted cost.
            WHEN x_RowKind IN ('Usage', 'DiscountedUsage', 'SavingsPlanCoveredUsage')
            THEN coalesce(public_cost, ContractedCost)
            -- Counted with the usage, or not used at all.
            WHEN x_RowKind IN ('SavingsPlanNegation', 'UnusedReservation', 'UnusedSavingsPlan') THEN 0
            -- Has no list price but its own.
            ELSE cost
        END AS ListCost
    FROM described
),

-- The price of one unit: the rate as AWS writes it; where it writes none or 0, what a unit came to.
priced_by_unit AS NOT MATERIALIZED (
    SELECT
        *,
        -- Source: [CUR] pricing/publicOnDemandRate, lineItem/UnblendedRate; [FOCUS] ListUnitPrice,
        -- ContractedUnitPrice: not negative, NULL on tax.
        CASE WHEN is_unused THEN 0 WHEN is_priced THEN finops.unit_price(
            CASE WHEN x_RowKind = 'DiscountedUsage' THEN pricing_public_on_demand_rate ELSE line_item_unblended_rate END,
            ContractedCost, quantity) END AS contracted_price,
        CASE WHEN is_usage THEN finops.unit_price(pricing_public_on_demand_rate, ListCost, quantity) END AS list_price
    FROM costed
)

SELECT
    -- Lineage.
    source_row_id AS x_SourceRowId,
    x_RowKind,
    type AS x_LineItemType,
    CASE WHEN is_net THEN 'net' ELSE 'unblended' END AS x_NetBasis,

    -- The four costs, and the price of one PricingUnit.
    BilledCost,
    EffectiveCost,
    ListCost,
    ContractedCost,
    coalesce(list_price, contracted_price) AS ListUnitPrice,
    contracted_price AS ContractedUnitPrice,

    -- Source: [FOCUS] ChargeCategory; a refund is of the category of what it gives back.
    CASE
        WHEN is_usage OR is_unused THEN 'Usage'
        WHEN is_purchase OR x_RowKind = 'CommitmentRefund' THEN 'Purchase'
        WHEN x_RowKind = 'Tax' THEN 'Tax'
        WHEN x_RowKind IN ('Credit', 'Discount') THEN 'Credit'
        WHEN x_RowKind = 'Refund' AND line_item_line_item_description ILIKE '%subscription%' THEN 'Purchase'
        WHEN x_RowKind = 'Refund' AND line_item_usage_type IS NOT NULL THEN 'Usage'
        ELSE 'Adjustment'
    END AS ChargeCategory,
    -- A change to a period that was invoiced before. Source: [FOCUS] ChargeClass; [CUR] bill/BillType.
    CASE WHEN bill_bill_type = 'Refund' OR (type = 'Refund' AND start < bill_billing_period_start_date)
        THEN 'Correction' END AS ChargeClass,
    -- Source: [FOCUS] ChargeFrequency. A fee over the whole period comes again in the next.
    CASE
        WHEN is_usage OR is_unused THEN 'Usage-Based'
        WHEN x_RowKind IN ('RIFee', 'SavingsPlanRecurringFee') OR type = 'FlatRateSubscription' THEN 'Recurring'
        WHEN x_RowKind = 'Fee' AND start <= bill_billing_period_start_date
            AND stop >= bill_billing_period_end_date - INTERVAL 1 SECOND THEN 'Recurring'
        ELSE 'One-Time'
    END AS ChargeFrequency,
    -- Source: [CUR] lineItem/LineItemDescription.
    line_item_line_item_description AS ChargeDescription,
    -- Source: [CUR] lineItem/UsageStartDate, UsageEndDate; [FOCUS] ChargePeriodEnd is exclusive.
    start AS ChargePeriodStart,
    CASE WHEN stop <= start THEN start + INTERVAL 1 SECOND
        WHEN date_part('second', stop) = 59 THEN stop + INTERVAL 1 SECOND ELSE stop END AS ChargePeriodEnd,

    -- Source: [FOCUS] PricingCategory; [CUR] pricing/term, usage types of Spot.
    CASE
        WHEN is_committed THEN 'Committed'
        WHEN is_usage AND (pricing_term = 'Spot' OR line_item_usage_type LIKE '%Spot%') THEN 'Dynamic'
        WHEN is_usage OR is_purchase THEN 'Standard'
    END AS PricingCategory,
    -- Source: [CUR] lineItem/UsageAmount, pricing/unit. A negation repeats the quantity of what it cancels.
    quantity AS PricingQuantity,
    CASE WHEN x_RowKind = 'UnusedSavingsPlan' THEN line_item_currency_code
        WHEN is_priced THEN unit END AS PricingUnit,
    CASE WHEN is_usage THEN quantity END AS ConsumedQuantity,
    CASE WHEN is_usage THEN unit END AS ConsumedUnit,

    -- Source: [CUR] savingsPlan/SavingsPlanARN, reservation/ReservationARN; [FOCUS] CommitmentDiscount*.
    commitment_id AS CommitmentDiscountId,
    CASE WHEN commitment_id IS NULL THEN NULL WHEN savings_plan_savings_plan_a_r_n IS NOT NULL THEN 'Spend'
        ELSE 'Usage' END AS CommitmentDiscountCategory,
    CASE WHEN commitment_id IS NULL THEN NULL WHEN savings_plan_savings_plan_a_r_n IS NOT NULL THEN 'Savings Plan'
        ELSE 'Reserved' END AS CommitmentDiscountType,
    CASE WHEN commitment_id IS NULL THEN NULL WHEN is_unused THEN 'Unused' WHEN is_usage THEN 'Used' END
        AS CommitmentDiscountStatus,
    -- A plan is an amount of money, a reservation is normalised units or hours. Source: [FOCUS] as above.
    CASE
        WHEN commitment_id IS NULL OR x_RowKind = 'CommitmentRefund' THEN NULL
        WHEN x_RowKind = 'SavingsPlanNegation' THEN 0
        WHEN x_RowKind = 'SavingsPlanCoveredUsage' THEN CAST(savings_plan_savings_plan_effective_cost AS DOUBLE)
        WHEN x_RowKind = 'SavingsPlanRecurringFee' THEN CAST(savings_plan_total_commitment_to_date AS DOUBLE)
        WHEN x_RowKind = 'UnusedSavingsPlan' THEN CAST(unused_commitment AS DOUBLE)
        WHEN x_RowKind = 'SavingsPlanUpfrontFee' THEN CAST(cost AS DOUBLE)
        WHEN x_RowKind = 'UnusedReservation'
        THEN coalesce(reservation_unused_normalized_unit_quantity, reservation_unused_quantity, 0)
        ELSE coalesce(line_item_normalized_usage_amount, line_item_usage_amount, 0)
    END AS CommitmentDiscountQuantity,
    CASE
        WHEN CommitmentDiscountQuantity IS NULL THEN NULL
        WHEN savings_plan_savings_plan_a_r_n IS NOT NULL THEN line_item_currency_code
        WHEN coalesce(reservation_unused_normalized_unit_quantity, line_item_normalized_usage_amount) IS NOT NULL
        THEN 'Normalized Hours'
        ELSE 'Hours'
    END AS CommitmentDiscountUnit,

    -- Source: [CUR] capacityReservation/*; usage types of reserved capacity that nothing runs in.
    capacity_reservation_capacity_reservation_arn AS CapacityReservationId,
    CASE WHEN capacity_reservation_capacity_reservation_arn IS NULL OR NOT is_usage THEN NULL
        WHEN line_item_usage_type LIKE '%Unused%' THEN 'Unused' ELSE 'Used' END AS CapacityReservationStatus,

    -- Source: [CUR] bill/*, lineItem/UsageAccountId, LegalEntity; [1.3] ServiceProviderName, HostProviderName.
    bill_payer_account_id AS BillingAccountId,
    coalesce(bill_payer_account_name, payer.name) AS BillingAccountName,
    'Management Account' AS BillingAccountType,
    line_item_usage_account_id AS SubAccountId,
    CASE WHEN line_item_usage_account_id IS NOT NULL
        THEN coalesce(line_item_usage_account_name, account.name, line_item_usage_account_id) END AS SubAccountName,
    CASE WHEN line_item_usage_account_id IS NOT NULL THEN 'Linked Account' END AS SubAccountType,
    bill_invoice_id AS InvoiceId,
    'AWS' AS InvoiceIssuerName,
    'AWS' AS ProviderName,
    CASE WHEN is_marketplace THEN coalesce(line_item_legal_entity, 'AWS Marketplace') ELSE 'AWS' END AS PublisherName,
    PublisherName AS ServiceProviderName,
    CASE WHEN x_RowKind = 'Tax' THEN 'Not Applicable' ELSE 'AWS' END AS HostProviderName,
    line_item_currency_code AS BillingCurrency,
    coalesce(pricing_currency, line_item_currency_code) AS PricingCurrency,
    CASE WHEN PricingCurrency = BillingCurrency THEN contracted_price END AS PricingCurrencyContractedUnitPrice,
    CASE WHEN PricingCurrency = BillingCurrency THEN EffectiveCost END AS PricingCurrencyEffectiveCost,
    CASE WHEN PricingCurrency = BillingCurrency THEN coalesce(list_price, contracted_price) END AS PricingCurrencyListUnitPrice,

    -- Source: lookup services.csv, or the user's own; [FOCUS] ServiceCategory.
    service_name AS ServiceName,
    CASE WHEN by_code.is_own AND by_name.is_own IS DISTINCT FROM true THEN by_code.category ELSE coalesce(by_name.category, by_code.category, 'Other') END
        AS ServiceCategory,
    CASE WHEN by_code.is_own AND by_name.is_own IS DISTINCT FROM true THEN by_code.subcategory
        ELSE coalesce(by_name.subcategory, by_code.subcategory, 'Other (Other)') END AS ServiceSubcategory,

    -- Source: [CUR] product/sku, pricing/RateCode, RateId, lineItem/UsageType; [FOCUS] Sku*.
    CASE WHEN has_sku THEN product_sku END AS SkuId,
    CASE WHEN has_sku THEN coalesce(pricing_rate_code, product_sku || '.' || pricing_rate_id, product_sku) END AS SkuPriceId,
    CASE WHEN has_sku THEN coalesce(line_item_usage_type, product_product_family, product_sku) END AS SkuMeter,
    CASE WHEN has_sku THEN json_merge_patch('{}', json_object(
        'InstanceType', product_instance_type, 'CoreCount', TRY_CAST(product_vcpu AS INTEGER),
        'MemorySize', product_memory, 'OperatingSystem', product_operating_system,
        'StorageClass', product_storage_class, 'x_Operation', line_item_operation,
        'x_PurchaseTerm', pricing_term)) END AS SkuPriceDetails,

    -- Source: [CUR] product/regionCode, product/location, lineItem/AvailabilityZone.
    region_id AS RegionId,
    coalesce(location_in_bill, region_id) AS RegionName,
    line_item_availability_zone AS AvailabilityZone,

    -- Source: [CUR] lineItem/ResourceId; the parts of an ARN. Name and type only where there is an id.
    resource_id AS ResourceId,
    regexp_extract(resource_id, '([^:/]+)[:/]*$', 1) AS ResourceName,
    CASE WHEN resource_id IS NOT NULL THEN coalesce(
        nullif(regexp_extract(resource_id, '^arn:[^:]*:[^:]*:[^:]*:[^:]*:([^:/]+)[:/].', 1), ''),
        CASE split_part(resource_id, '-', 1) WHEN 'i' THEN 'instance' WHEN 'vol' THEN 'volume'
            WHEN 'snap' THEN 'snapshot' WHEN 'eni' THEN 'network-interface' WHEN 'nat' THEN 'natgateway' END,
        CASE WHEN line_item_product_code = 'AmazonS3' THEN 'bucket' END,
        nullif(regexp_extract(resource_id, '^arn:[^:]*:([^:]+):', 1), ''),
        line_item_product_code, 'resource') END AS ResourceType,

    -- User tags lose their prefix, those of AWS keep it; keys as CUR 2.0 spells them. Source: [CUR] resourceTags.
    resource_tags AS Tags,

    -- Split cost allocation: what a container took of its instance. The instance bears the cost, so these
    -- rows bear none, and the split is told beside. Source: [CUR] splitLineItem/*; [1.3] Allocated*.
    CASE WHEN x_RowKind = 'SplitUsage' THEN 'AWS Split Cost Allocation' END AS AllocatedMethodId,
    CASE WHEN x_RowKind = 'SplitUsage' THEN line_item_resource_id END AS AllocatedResourceId,
    CASE WHEN x_RowKind = 'SplitUsage' THEN regexp_extract(line_item_resource_id, '([^:/]+)[:/]*$', 1) END
        AS AllocatedResourceName,
    CASE WHEN x_RowKind = 'SplitUsage' THEN resource_tags END AS AllocatedTags,
    CASE WHEN is_net THEN coalesce(split_line_item_net_split_cost, split_line_item_split_cost)
        ELSE split_line_item_split_cost END AS x_SplitCost,
    CASE WHEN is_net THEN coalesce(split_line_item_net_unused_cost, split_line_item_unused_cost)
        ELSE split_line_item_unused_cost END AS x_SplitUnusedCost,

    -- What AWS calls it.
    line_item_product_code AS x_ServiceCode,
    line_item_usage_type AS x_UsageType,
    line_item_operation AS x_Operation,
    bill_bill_type AS x_BillType,
    bill_billing_entity AS x_BillingEntity,
    bill_invoicing_entity AS x_InvoicingEntity,
    cost_category AS x_CostCategories,
    discount AS x_Discounts
FROM priced_by_unit
LEFT JOIN service AS by_name ON by_name.service = service_name
LEFT JOIN service AS by_code ON by_code.service = line_item_product_code
LEFT JOIN account ON account.id = line_item_usage_account_id
LEFT JOIN account AS payer ON payer.id = bill_payer_account_id
