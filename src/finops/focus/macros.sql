-- What every vendor's mapping may use.

-- A map as a flat JSON object, keys sorted, each once; a prefix is taken off them. NULL if empty.
CREATE OR REPLACE MACRO finops.flat_json(m, prefix) AS list_transform(
    [list_sort(list_transform(map_entries(m), lambda e: {
        'key': CASE WHEN starts_with(e.key, prefix) THEN substr(e.key, length(prefix) + 1) ELSE e.key END,
        'value': e.value
    }))],
    lambda entries: CASE WHEN length(entries) > 0 THEN to_json(map_from_entries(
        list_filter(entries, lambda e, i: i = 1 OR entries[i - 1].key <> e.key)
    )) END
)[1];
