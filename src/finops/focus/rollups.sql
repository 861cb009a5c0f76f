-- Pre-aggregates of one load's charges. $load_id is bound; costs are in BillingCurrency.
-- A charge that does not say when it was is counted on the first day of its billing period.
INSERT INTO focus.daily BY NAME
SELECT
    CAST(coalesce(ChargePeriodStart, BillingPeriodStart) AS DATE) AS day, x_BillingPeriod, x_Vendor, x_Export, x_LoadId,
    BillingAccountId, BillingAccountName, SubAccountId, SubAccountName, ProviderName, PublisherName,
    InvoiceId, x_BillingEntity, ServiceCategory, ServiceSubcategory, ServiceName, RegionId,
    ChargeCategory, ChargeClass, PricingCategory, CommitmentDiscountType, CommitmentDiscountStatus,
    x_LineItemType, BillingCurrency,
    sum(BilledCost) AS BilledCost, sum(EffectiveCost) AS EffectiveCost,
    sum(ListCost) AS ListCost, sum(ContractedCost) AS ContractedCost, count(*) AS x_Charges
FROM focus.cost_and_usage
WHERE x_LoadId = $load_id
GROUP BY ALL;

DELETE FROM finops.period_totals WHERE load_id = $load_id;

INSERT INTO finops.period_totals BY NAME
SELECT
    x_LoadId AS load_id, ServiceName, SubAccountId, ChargeCategory, BillingCurrency,
    sum(BilledCost) AS BilledCost, sum(EffectiveCost) AS EffectiveCost, sum(x_Charges) AS charges
FROM focus.daily
WHERE x_LoadId = $load_id
GROUP BY ALL;
