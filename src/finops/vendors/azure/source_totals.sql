-- What the line items of a period add up to, read apart from the mapping that it is compared with.
-- Grain: one row per invoice, kind of publisher and currency; costs in that currency, NULL where none is given.
-- Billed is what the dataset ActualCost says, where it is there; else AmortizedCost without commitments.
-- row_count is the number of line items that are charges: of usage that a commitment pays for, both
-- datasets have rows, and those of AmortizedCost count.
datasets AS (
    SELECT
        bool_or(dataset_type = 'ActualCost') AS has_actual,
        bool_or(dataset_type = 'AmortizedCost') AS has_amortized
    FROM line_item
),
counted AS (
    SELECT
        *,
        is_committed
            AND coalesce(charge_type, 'Usage') IN ('Usage', 'UnusedReservation', 'UnusedSavingsPlan') AS is_covered,
        CASE
            WHEN dataset_type = 'ActualCost' THEN cost
            WHEN NOT has_actual THEN CASE WHEN is_covered THEN 0 ELSE cost END
        END AS billed,
        CASE
            WHEN dataset_type = 'ActualCost' THEN NOT (has_amortized AND is_covered AND coalesce(cost, 0) = 0)
            ELSE is_covered OR NOT has_actual
        END AS is_charge
    FROM line_item CROSS JOIN datasets
)
SELECT
    invoice_id,
    publisher_type AS billing_entity,
    coalesce(billing_currency, '') AS currency,
    count(*) FILTER (is_charge) AS row_count,
    sum(billed) AS total,
    total AS unblended,
    CASE WHEN any_value(has_actual) THEN sum(cost) FILTER (dataset_type = 'AmortizedCost') END AS effective
FROM counted
GROUP BY ALL
