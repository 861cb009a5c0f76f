-- What every vendor's mapping may use.

-- Entries of a map as a flat JSON object, keys sorted, each once, without their prefix. NULL if empty.
CREATE OR REPLACE MACRO finops.flat_json(entries_of_map, prefix) AS list_transform(
    [list_sort(list_transform(entries_of_map, lambda e: {
        'key': CASE WHEN starts_with(e.key, prefix) THEN substr(e.key, length(prefix) + 1) ELSE e.key END,
        'value': e.value
    }))],
    lambda entries: CASE WHEN length(entries) > 0 THEN to_json(map_from_entries(
        list_filter(entries, lambda e, i: i = 1 OR entries[i - 1].key <> e.key)
    )) END
)[1];

-- The price of one unit, never negative: a rate as the vendor writes it, or what a unit came to.
CREATE OR REPLACE MACRO finops.unit_price(rate, cost, quantity) AS greatest(coalesce(
    nullif(TRY(finops.money(rate)), 0),
    TRY(finops.money_of_double(CAST(cost AS DOUBLE) / nullif(quantity, 0))),
    0
), 0);

-- Text of a JSON object, or of its members without the braces, as JSON. NULL where it is neither.
CREATE OR REPLACE MACRO finops.json_of_members(t) AS list_transform(
    [CASE WHEN starts_with(trim(t), '{') THEN t ELSE '{' || t || '}' END],
    lambda braced: CASE WHEN json_valid(braced) THEN CAST(braced AS JSON) END
)[1];

-- The members of a JSON object as entries of a map of texts; what is no scalar is JSON text. No map has
-- a key twice: there members are looked up one by one, which takes long of many, so then it is NULL.
CREATE OR REPLACE MACRO finops.json_entries(document) AS coalesce(
    map_entries(TRY_CAST(document AS MAP(VARCHAR, VARCHAR))),
    CASE WHEN length(json_keys(document)) <= 1000 THEN list_transform(json_keys(document), lambda k: {
        'key': k,
        'value': json_extract_string(document, '/' || replace(replace(k, '~', '~0'), '/', '~1'))
    }) END
);

-- A price times a quantity, for list and contracted cost. Never for billed cost.
CREATE OR REPLACE MACRO finops.product(price, quantity) AS
    TRY(finops.money_of_double(round(CAST(price AS DOUBLE) * quantity, 12)));
