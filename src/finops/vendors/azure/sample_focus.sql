-- The same bill as Azure's own FOCUS export has it. Grain of `"FocusCost"`: one row per charge, that is per line
-- item of AmortizedCost, and of ActualCost where it buys or gives back a commitment. Names as in focus.csv.
CREATE TABLE "FocusCost" AS
WITH charge AS (
    SELECT *, benefit_id IS NOT NULL AS is_committed, benefit_name = 'plan' AS is_plan,
        charge_type IN ('Purchase', 'Refund') AS is_bought, charge_type LIKE 'Unused%' AS is_unused,
        split_part(service_family, ' ', 1) AS family,
        coalesce(regexp_extract(unit_of_measure, '(\d+)(K?)', ['block', 'kilo']),
            {'block': '1', 'kilo': ''}) AS size
    FROM line_item
    WHERE dataset_type = 'AmortizedCost' OR (is_committed AND is_bought)
)
SELECT
    row_number() OVER (ORDER BY dataset_type, line_number) - 1 AS line_number, charge_type,
    CASE WHEN is_committed AND NOT is_bought THEN 0 ELSE cost END AS BilledCost,
    CASE WHEN is_committed AND is_bought THEN 0 ELSE cost END AS EffectiveCost,
    CASE WHEN charge_type = 'Usage' THEN payg_cost WHEN NOT is_bought AND NOT is_unused THEN cost ELSE 0 END AS ListCost,
    CASE WHEN charge_type = 'Usage' THEN CAST(unit_price * quantity * rate() AS DECIMAL(38, 20))
        WHEN NOT is_committed THEN cost ELSE 0 END AS ContractedCost,
    payg_price * rate() AS ListUnitPrice, unit_price * rate() AS ContractedUnitPrice,
    CASE WHEN charge_type = 'Usage' OR is_unused THEN 'Usage' WHEN is_bought THEN 'Purchase' ELSE 'Adjustment' END
        AS ChargeCategory,
    CASE WHEN charge_type = 'Refund' THEN 'Correction' END AS ChargeClass,
    CASE frequency WHEN 'OneTime' THEN 'One-Time' WHEN 'Recurring' THEN 'Recurring' ELSE 'Usage-Based' END
        AS ChargeFrequency,
    product_name AS ChargeDescription, charge_date AS ChargePeriodStart,
    charge_date + INTERVAL 1 DAY AS ChargePeriodEnd, billing_period_start AS BillingPeriodStart,
    billing_period_end + INTERVAL 1 DAY AS BillingPeriodEnd,
    profile AS BillingAccountId, billing_profile_name AS BillingAccountName,
    CASE WHEN billing_account_id = profile THEN 'Billing Account' ELSE 'Billing Profile' END AS BillingAccountType,
    billing_currency AS BillingCurrency, pricing_currency AS PricingCurrency, pricing_currency AS x_PricingCurrency,
    '/subscriptions/' || subscription_id AS SubAccountId, subscription_name AS SubAccountName,
    CASE WHEN subscription_id IS NOT NULL THEN 'Subscription' END AS SubAccountType,
    invoice_id AS InvoiceId, invoice_id AS x_InvoiceId, 'Microsoft' AS InvoiceIssuerName, 'Microsoft' AS ProviderName,
    publisher_name AS PublisherName,
    lower(benefit_id) AS CommitmentDiscountId, benefit_name AS CommitmentDiscountName,
    CASE WHEN is_committed THEN CASE WHEN is_plan THEN 'Spend' ELSE 'Usage' END END AS CommitmentDiscountCategory,
    CASE WHEN is_committed THEN CASE WHEN is_plan THEN 'Savings Plan' ELSE 'Reservation' END END
        AS CommitmentDiscountType,
    CASE WHEN is_committed AND is_unused THEN 'Unused' WHEN is_committed AND charge_type = 'Usage' THEN 'Used' END
        AS CommitmentDiscountStatus,
    CASE WHEN is_committed AND NOT is_bought THEN quantity END AS CommitmentDiscountQuantity,
    CASE WHEN is_committed AND NOT is_bought THEN 'Hours' END AS CommitmentDiscountUnit,
    CASE WHEN pricing_model = 'Spot' THEN 'Dynamic' WHEN is_committed AND NOT is_bought THEN 'Committed'
        WHEN charge_type <> 'RoundingAdjustment' THEN 'Standard' END AS PricingCategory,
    CASE WHEN PricingCategory IS NOT NULL THEN quantity END AS PricingQuantity,
    CASE WHEN PricingCategory IS NOT NULL THEN coalesce(unit_of_measure, 'Units') END AS PricingUnit,
    CAST(size.block || CASE size.kilo WHEN 'K' THEN '000' ELSE '' END AS BIGINT) AS x_PricingBlockSize,
    CASE WHEN charge_type = 'Usage' THEN quantity * x_PricingBlockSize END AS ConsumedQuantity,
    CASE WHEN charge_type = 'Usage' THEN 'Units' END AS ConsumedUnit,
    CASE WHEN resource_location IS NOT NULL THEN lower(resource_location) END AS RegionId, meter_region AS RegionName,
    lower(resource_id) AS ResourceId, resource_name AS ResourceName,
    CASE WHEN resource_name IS NOT NULL THEN meter_category END AS ResourceType,
    coalesce(meter_category, product_name, 'Azure') AS ServiceName,
    CASE WHEN family IN ('Compute', 'Storage', 'Networking', 'Databases', 'Security') THEN family
        WHEN family = 'AI' THEN 'AI and Machine Learning' WHEN family = 'Management' THEN 'Management and Governance'
        WHEN family = 'Internet' THEN 'Internet of Things' ELSE 'Other' END AS ServiceCategory,
    ServiceCategory || ' (Other)' AS ServiceSubcategory,
    product_id AS SkuId, meter_name AS SkuMeter, meter_name AS x_SkuMeterName,
    CASE WHEN meter_id IS NOT NULL THEN concat(product_id, '_', meter_id, '_', pricing_model) END AS SkuPriceId,
    additional_info AS SkuPriceDetails, additional_info AS x_SkuDetails,
    CASE WHEN starts_with(tags, '{') OR tags IS NULL THEN tags ELSE '{' || tags || '}' END AS Tags,
    billing_account_id AS x_BillingAccountId, billing_account_name AS x_BillingAccountName, exchange_rate AS x_BillingExchangeRate,
    CASE WHEN is_bought AND is_committed THEN 'Principal' WHEN is_committed THEN 'Amortized Charge' END AS x_AmortizationClass,
    meter_id AS x_SkuMeterId, meter_category AS x_SkuMeterCategory, meter_subcategory AS x_SkuMeterSubcategory,
    service_family AS x_SkuServiceFamily, resource_group AS x_ResourceGroupName, 'On-Demand' AS x_PricingSubcategory
FROM (SELECT *, billing_profile_id AS profile FROM charge);
