-- Keys and values of {documents}, by key and by rank, which is the order in which they are named here. They are
-- arrays of objects with a key and a value.
list_sort(flatten(list_transform(
    [{documents}],
    lambda document, rank: list_transform(
        CASE WHEN document <> '[]' THEN json_transform(document, '[{"{key}": "VARCHAR", "{value}": "VARCHAR"}]') ELSE [] END,
        lambda entry: {'key': entry.key, 'rank': rank, 'value': entry.value}
    )
)))
