-- What the line items of a period add up to, read apart from the mapping that it is compared with.
-- Grain: one row per invoice, billing entity and currency; costs in that currency. Net or unblended
-- as [CUR] says of the period.
SELECT
    bill_invoice_id AS invoice_id,
    bill_billing_entity AS billing_entity,
    coalesce(line_item_currency_code, '') AS currency,
    count(*) AS row_count,
    coalesce(sum(line_item_unblended_cost), 0) AS unblended,
    coalesce(CASE WHEN (SELECT count(line_item_net_unblended_cost) FROM line_item) = 0 THEN unblended
        ELSE sum(CASE WHEN line_item_line_item_type LIKE '%Discount' THEN line_item_net_unblended_cost
            ELSE coalesce(line_item_net_unblended_cost, line_item_unblended_cost) END) END, 0) AS total
FROM line_item
GROUP BY ALL
