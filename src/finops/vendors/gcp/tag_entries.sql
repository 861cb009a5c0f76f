-- Keys and values of {documents}, by key and by rank, which is the order in which they are named here. They are
-- arrays of objects with key and value, in the FOCUS table Key and Value.
list_sort(flatten(list_transform(
    [{documents}],
    lambda document, rank: list_transform(
        CASE WHEN json_valid(document) THEN json_extract(document, '$[*]') ELSE [] END,
        lambda entry: {
            'key': coalesce(json_extract_string(entry, '$.key'), json_extract_string(entry, '$.Key')),
            'rank': rank,
            'value': coalesce(json_extract_string(entry, '$.value'), json_extract_string(entry, '$.Value'))
        }
    )
)))
