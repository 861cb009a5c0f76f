-- Google's FOCUS table as it is, with what it leaves out. What it gives is never changed but in the case of its words.
-- Grain: one row per charge. Reads: native (the rows as charges), service (service -> category).
-- Source: Google's FOCUS table has no Tags, but x_Tags, x_Labels, x_ProjectLabels, x_SystemLabels.
lacking AS (
    SELECT
        NULL::VARCHAR AS x_Tags, NULL::VARCHAR AS x_Labels, NULL::VARCHAR AS x_ProjectLabels, NULL::VARCHAR AS x_SystemLabels,
        NULL::JSON AS Tags, NULL::VARCHAR AS InvoiceIssuerName, NULL::VARCHAR AS ChargeCategory, NULL::VARCHAR AS ChargeClass,
        NULL::VARCHAR AS ChargeFrequency, NULL::VARCHAR AS PricingCategory, NULL::VARCHAR AS SubAccountId,
        NULL::VARCHAR AS SubAccountType, NULL::VARCHAR AS ServiceName, NULL::VARCHAR AS ServiceCategory,
        NULL::VARCHAR AS ServiceSubcategory
    WHERE false
),

whole AS NOT MATERIALIZED (
    SELECT *, TAG_ENTRIES AS tag_entries FROM (SELECT * FROM native UNION ALL BY NAME SELECT * FROM lacking)
)

SELECT whole.* EXCLUDE (tag_entries) REPLACE (
    coalesce(Tags, finops.flat_json(tag_entries, '')) AS Tags,
    coalesce(InvoiceIssuerName, 'Google Cloud') AS InvoiceIssuerName,
    upper(ChargeCategory[1]) || lower(ChargeCategory[2:]) AS ChargeCategory,
    upper(ChargeClass[1]) || lower(ChargeClass[2:]) AS ChargeClass,
    upper(PricingCategory[1]) || lower(PricingCategory[2:]) AS PricingCategory,
    coalesce(ChargeFrequency, CASE WHEN lower(ChargeCategory) = 'usage' THEN 'Usage-Based' ELSE 'One-Time' END)
        AS ChargeFrequency,
    coalesce(SubAccountType, CASE WHEN SubAccountId IS NOT NULL THEN 'Project' END) AS SubAccountType,
    coalesce(ServiceCategory, service.category, 'Other') AS ServiceCategory,
    coalesce(ServiceSubcategory, service.subcategory, 'Other (Other)') AS ServiceSubcategory
)
FROM whole LEFT JOIN service ON service.service = ServiceName
