-- What an export has of an account in a month that another export has, too.
-- Grain: load, account as the bill writes it, BillingCurrency (which {cost} is in); and the other export.
-- $load_ids: NULL for all.
-- An account is the sub account, or where a charge has none the billing account. Ids are compared in lower
-- case by their last part: Azure's FOCUS exports write /subscriptions/ID where its others write ID.
-- Under two billing accounts, or one that is not told, it is the same account only if the provider is the
-- same, and of two that are told only if they share more than two days of usage: in the month in which an
-- account moves from one to the other, each has its own days of it.
WITH provided AS (
    SELECT
        x_BillingPeriod, concat(x_Vendor, '/', x_Export) AS export, x_LoadId, BillingAccountId, SubAccountId,
        coalesce(BillingCurrency, '') AS currency, coalesce(ProviderName, '') AS provider,
        coalesce(sum({cost}), 0) AS cost,
        bool_or(BilledCost <> 0 OR EffectiveCost <> 0 OR ListCost <> 0 OR ContractedCost <> 0) AS costs_something,
        bit_or(CAST(1 AS BIGINT) << day(day)) FILTER (ChargeCategory = 'Usage') AS days
    FROM focus.daily
    WHERE ($load_ids IS NULL OR x_LoadId IN (SELECT unnest($load_ids::VARCHAR[])))
        AND x_BillingPeriod IN (
            SELECT x_BillingPeriod FROM focus.daily GROUP BY ALL HAVING count(DISTINCT x_LoadId) > 1)
    GROUP BY ALL
),
part AS (
    SELECT
        * EXCLUDE (provider, cost, costs_something, days),
        nullif(lower(split_part(rtrim(BillingAccountId, '/'), '/', -1)), '') AS payer,
        coalesce(nullif(lower(split_part(rtrim(SubAccountId, '/'), '/', -1)), ''), payer) AS account,
        list(provider) AS providers, sum(cost) AS cost, bit_or(days) AS days
    FROM provided
    GROUP BY ALL
    HAVING bool_or(costs_something)
)
SELECT DISTINCT
    mine.x_BillingPeriod, mine.export, other.export, mine.account, mine.x_LoadId, mine.BillingAccountId,
    mine.SubAccountId, mine.currency, mine.cost
FROM part AS mine JOIN part AS other USING (x_BillingPeriod, account)
WHERE mine.export <> other.export AND (mine.payer = other.payer OR (
    list_has_any(mine.providers, other.providers)
    AND (mine.payer IS NULL OR other.payer IS NULL OR bit_count(mine.days & other.days) > 2)))
ORDER BY ALL
