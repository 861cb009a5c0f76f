-- What the line items of a period add up to, read apart from the mapping that it is compared with.
-- Grain: one row per invoice, billing entity and currency; costs in that currency, NULL where none is given.
-- Net where [CUR] gives a net cost to all that costs something, save discounts, which are in it.
basis AS (
    SELECT count(line_item_net_unblended_cost) > 0 AND bool_and(
        line_item_net_unblended_cost IS NOT NULL OR coalesce(line_item_unblended_cost, 0) = 0
        OR coalesce(line_item_line_item_type, '') LIKE '%Discount'
    ) AS is_net
    FROM line_item
)
SELECT
    bill_invoice_id AS invoice_id,
    bill_billing_entity AS billing_entity,
    coalesce(line_item_currency_code, '') AS currency,
    count(*) AS row_count,
    sum(line_item_unblended_cost) AS unblended,
    CASE WHEN any_value(is_net) THEN sum(line_item_net_unblended_cost) ELSE unblended END AS total,
    CAST(NULL AS DECIMAL(38, 24)) AS effective
FROM line_item CROSS JOIN basis
GROUP BY ALL
