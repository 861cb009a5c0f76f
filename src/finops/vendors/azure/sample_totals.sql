-- What the exports of the sample hold, whichever there are.
CREATE VIEW written AS
SELECT dataset_type AS dataset, charge_type, CASE WHEN dataset_type = 'ActualCost' THEN cost END AS billed,
    CASE WHEN dataset_type = 'AmortizedCost' THEN cost END AS effective
FROM line_item
UNION ALL
SELECT 'FocusCost', charge_type, BilledCost, EffectiveCost FROM "FocusCost";

-- Grain: one row per dataset and charge type.
CREATE VIEW kind AS
SELECT concat(dataset, ' ', charge_type) AS kind, count(*) AS rows
FROM written WHERE list_contains(getvariable('datasets'), dataset) GROUP BY ALL ORDER BY ALL;

-- Grain: one row per measure: what the exports add up to.
CREATE VIEW total AS
SELECT measure, getvariable('currency') AS currency, sum(amount) AS amount
FROM (UNPIVOT (FROM written WHERE list_contains(getvariable('datasets'), dataset))
    ON billed, effective INTO NAME measure VALUE amount)
GROUP BY measure ORDER BY measure;
