-- Loaded billing periods, per export. is_final is NULL where no charges were made yet;
-- failed_checks are the rules that the charges break. $export: NULL for all.
SELECT
    vendor, export, billing_period, load_id, is_final,
    coalesce(list(DISTINCT rule ORDER BY rule) FILTER (NOT ok), []) AS failed_checks
FROM finops.loads
JOIN finops.exports USING (dataset)
LEFT JOIN finops.charge_builds USING (dataset, billing_period, load_id)
LEFT JOIN finops.checks USING (dataset, billing_period, load_id)
WHERE is_current AND coalesce($export, export) IN (export, vendor || '/' || export)
GROUP BY ALL
ORDER BY vendor, export, billing_period;

-- Services and accounts, the dearest first. Grain: the keys and BillingCurrency, in which cost is.
-- Reads daily: keys, BillingCurrency, cost, is_before (false).
SELECT *
FROM (SELECT * EXCLUDE (cost, is_before), coalesce(sum(cost), 0) AS cost FROM daily GROUP BY ALL)
ORDER BY BillingCurrency, cost DESC, COLUMNS(*);

-- Months and their change. Grain: x_BillingPeriod, further keys and BillingCurrency.
-- Reads daily: as above, with rows of the month before again (is_before), where there is one.
SELECT
    * EXCLUDE (before),
    CASE WHEN x_BillingPeriod IN (SELECT month FROM counted WHERE is_before) THEN cost - before END AS change,
    round(100 * CAST(cost - before AS DOUBLE) / abs(nullif(CAST(before AS DOUBLE), 0)), 1) AS change_percent
FROM (
    SELECT
        * EXCLUDE (cost, is_before),
        coalesce(sum(cost) FILTER (NOT is_before), 0) AS cost,
        coalesce(sum(cost) FILTER (is_before), 0) AS before
    FROM daily
    GROUP BY ALL
)
ORDER BY x_BillingPeriod, BillingCurrency, cost DESC, COLUMNS(*);
