-- Grain: service and currency, over all demo periods and both payers. Billed cost, exact.
WITH line_items AS (
    SELECT
        coalesce(product_productname, lineitem_productcode) AS service,
        lineitem_currencycode AS currency,
        lineitem_unblendedcost AS billed_cost
    FROM aws_billing.billing
    UNION ALL
    SELECT
        coalesce(product['product_name'], line_item_product_code),
        line_item_currency_code,
        line_item_unblended_cost
    FROM aws_second_payer.billing
)
SELECT service, currency, sum(billed_cost) AS billed_cost
FROM line_items
GROUP BY service, currency
ORDER BY billed_cost DESC, service
LIMIT 8;
