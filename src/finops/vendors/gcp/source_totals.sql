-- What the line items of a period add up to, read apart from the mapping that it is compared with.
-- Grain: one row per billing entity and currency; costs in that currency, NULL where none is given.
-- row_count is the number of line items, and of promotions, which become charges of their own.
-- No text in JSON holds a bare quote: what looks like a member is one.
parts AS (
    SELECT transaction_type, currency, 1 AS charges, cost AS part FROM line_item
    UNION ALL
    SELECT transaction_type, currency, 0 AS charges, finops.money(nullif(amount, 'null')) AS part
    FROM (
        SELECT transaction_type, currency,
            trim(unnest(regexp_extract_all(credits, '"amount"\s*:\s*("[^"]*"|[^,}\s]*)', 1)), '"') AS amount
        FROM line_item
    )
    UNION ALL
    SELECT transaction_type, currency, len(regexp_extract_all(credits, '"type"\s*:\s*"PROMOTION"')) AS charges, NULL AS part
    FROM line_item
)
SELECT
    CAST(NULL AS VARCHAR) AS invoice_id,
    transaction_type AS billing_entity,
    coalesce(currency, '') AS currency,
    sum(charges) AS row_count,
    sum(part) AS total,
    total AS unblended,
    CAST(NULL AS DECIMAL(38, 24)) AS effective
FROM parts
GROUP BY ALL
