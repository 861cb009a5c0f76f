-- What must hold of the money of one load's charges. Each check returns what breaks it: an amount in
-- billing currency, and where to look (x_SourceRowId, currency or commitment).
-- Reads: charges and daily (one load), source_total (currency, row_count, total, unblended, effective: of its
-- line items; effective is NULL where the vendor does not amortize by itself).

-- rule: billed-total
-- says: Billed cost is the total of the source, per currency, to the last digit.
SELECT coalesce(billed, 0) - coalesce(total, 0), concat('currency ', currency)
FROM (SELECT coalesce(BillingCurrency, '') AS currency, sum(BilledCost) AS billed FROM charges GROUP BY 1)
FULL JOIN source_total USING (currency)
WHERE coalesce(billed, 0) <> coalesce(total, 0);

-- rule: row-accounting
-- says: Every line item is one charge, and only unused commitments make further ones.
SELECT NULL, concat(given, ' line items, ', made, ' charges')
FROM (SELECT coalesce(sum(row_count), 0) AS given FROM source_total),
    (SELECT count(*) FILTER (x_RowKind NOT LIKE 'Unused%') AS made FROM charges)
WHERE given <> made;

-- rule: daily-total
-- says: The pre-aggregate adds up to the charges, in all four costs, per service, account and category.
WITH of_charges AS (
    SELECT BillingCurrency, ServiceName, SubAccountId, ChargeCategory, InvoiceId,
        sum(BilledCost), sum(EffectiveCost), sum(ListCost), sum(ContractedCost)
    FROM charges GROUP BY ALL
),
of_days AS (
    SELECT BillingCurrency, ServiceName, SubAccountId, ChargeCategory, InvoiceId,
        sum(BilledCost), sum(EffectiveCost), sum(ListCost), sum(ContractedCost)
    FROM daily GROUP BY ALL
)
SELECT NULL, concat_ws(' ', ServiceName, SubAccountId, ChargeCategory, BillingCurrency)
FROM ((FROM of_charges EXCEPT FROM of_days) UNION (FROM of_days EXCEPT FROM of_charges));

-- rule: costs-given
-- says: The bill says what its line items cost, in all four costs and in a currency.
SELECT NULL, concat('currency ', currency) FROM source_total WHERE total IS NULL AND row_count > 0
UNION ALL
SELECT BilledCost, x_SourceRowId FROM charges
WHERE BillingCurrency IS NULL OR BilledCost IS NULL OR EffectiveCost IS NULL OR ListCost IS NULL
    OR ContractedCost IS NULL;

-- rule: known-line-item-types
-- says: The vendor's line item types are all known; unknown ones are Adjustment, as billed.
SELECT BilledCost, x_SourceRowId FROM charges WHERE x_RowKind = 'Unknown';

-- rule: net-is-unblended
-- says: Net costs add up to unblended costs with discounts as rows, within a cent per currency.
SELECT total - unblended, concat('currency ', currency) FROM source_total WHERE abs(total - unblended) > 0.01;

-- rule: effective-total
-- says: Effective cost is what the vendor amortized by itself, within a cent per currency.
SELECT charged - effective, concat('currency ', currency)
FROM (SELECT coalesce(BillingCurrency, '') AS currency, sum(EffectiveCost) AS charged FROM charges GROUP BY 1)
JOIN source_total USING (currency)
WHERE abs(charged - effective) > 0.01;

-- rule: used-commitment
-- says: A commitment's usage is billed with its fee, not again: negations cancel covered usage.
SELECT BilledCost, x_SourceRowId FROM charges WHERE CommitmentDiscountStatus = 'Used' AND BilledCost <> 0;

-- rule: commitment-purchase
-- says: The purchase of a commitment has no effective cost; its usage has it. FOCUS 1.2, EffectiveCost.
SELECT EffectiveCost, x_SourceRowId FROM charges
WHERE ChargeCategory = 'Purchase' AND CommitmentDiscountId IS NOT NULL AND EffectiveCost <> 0;

-- rule: unused-commitment
-- says: What was not used is not billed again and consumes nothing. FOCUS 1.2, CommitmentDiscountStatus.
SELECT EffectiveCost, x_SourceRowId FROM charges
WHERE CommitmentDiscountStatus = 'Unused' AND (BilledCost <> 0 OR ConsumedQuantity IS NOT NULL);

-- rule: commitment-balance
-- says: Used and unused parts of a commitment cost at least its recurring fees; upfront fees come on top.
SELECT coalesce(effective, 0) - billed, CommitmentDiscountId
FROM (
    SELECT CommitmentDiscountId,
        sum(BilledCost) FILTER (ChargeCategory = 'Purchase' AND ChargeFrequency = 'Recurring') AS billed,
        sum(EffectiveCost) FILTER (ChargeCategory = 'Usage') AS effective,
        count(*) AS charges
    FROM charges WHERE CommitmentDiscountId IS NOT NULL GROUP BY ALL
)
WHERE billed - coalesce(effective, 0) > 0.01 + 0.000001 * charges;

-- rule: effective-is-billed
-- says: What no commitment pays for costs what was billed. FOCUS 1.2, EffectiveCost.
SELECT EffectiveCost - BilledCost, x_SourceRowId FROM charges
WHERE CommitmentDiscountId IS NULL AND x_RowKind <> 'CommitmentRefund' AND EffectiveCost <> BilledCost;

-- rule: price-order
-- says: No usage costs more than its contracted, nor that more than its list cost.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE ChargeCategory = 'Usage' AND ChargeClass IS NULL AND CommitmentDiscountStatus IS DISTINCT FROM 'Unused'
    AND EffectiveCost > 0 AND (ListCost < ContractedCost - 0.000001 OR ContractedCost < EffectiveCost - 0.000001);

-- rule: list-price
-- says: List cost is list unit price times pricing quantity, within a millionth. FOCUS 1.2, ListCost.
SELECT ListCost, x_SourceRowId FROM charges
WHERE ListUnitPrice > 0 AND PricingQuantity > 0 AND ListCost > 0 AND ChargeClass IS NULL
    AND abs(CAST(ListCost AS DOUBLE) - CAST(ListUnitPrice AS DOUBLE) * PricingQuantity)
        > 0.000001 * abs(CAST(ListCost AS DOUBLE)) + 0.000001;

-- rule: split-costs-nothing
-- says: Split cost rows repeat what their instance costs, so they are billed nothing of their own.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE AllocatedMethodId IS NOT NULL AND BilledCost <> 0 AND x_RowKind <> 'Native';

-- rule: usage-in-period
-- says: Usage lies in its billing period, a day more or less, unless it corrects an earlier one.
SELECT BilledCost, x_SourceRowId FROM charges
WHERE ChargeCategory = 'Usage' AND ChargeClass IS NULL AND BilledCost >= 0
    AND (ChargePeriodStart < BillingPeriodStart - INTERVAL 1 DAY OR ChargePeriodStart >= BillingPeriodEnd + INTERVAL 1 DAY);
