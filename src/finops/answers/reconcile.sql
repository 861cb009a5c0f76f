-- What is loaded of each invoice, and which parts of it a stated total may leave out.
-- Grain: load, invoice, billing entity, currency, charge category, set of parts. Money: BillingCurrency.
SELECT
    x_LoadId, InvoiceId, x_BillingEntity, coalesce(BillingCurrency, ''), ChargeCategory,
    list_filter([
        CASE WHEN ChargeCategory = 'Tax' THEN 'tax' END,
        CASE WHEN x_BillingEntity LIKE '%Marketplace%' OR PublisherName <> ProviderName THEN 'Marketplace' END,
        CASE WHEN x_LineItemType LIKE '%Discount' THEN 'discounts' WHEN ChargeCategory = 'Credit' THEN 'credits' END,
        CASE WHEN x_LineItemType = 'Refund' OR ChargeClass = 'Correction' THEN 'refunds' END,
        CASE WHEN ServiceSubcategory = 'Support' THEN 'support' END
    ], lambda part: part IS NOT NULL) AS parts,
    list(DISTINCT ServiceName),
    sum(BilledCost)
FROM focus.daily
WHERE x_LoadId IN (SELECT unnest($load_ids::VARCHAR[]))
GROUP BY ALL
ORDER BY ALL
