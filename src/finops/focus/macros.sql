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
