-- Keys and values of {documents}, by key: of the same key that of the document which is named first. Documents are
-- arrays of objects with a key and a value.
list_transform(
    [list_sort(list_filter(flatten(list_transform(
        [{documents}],
        lambda document, rank: list_transform(
            CASE WHEN document <> '[]' THEN json_transform(document, '[{"{key}": "VARCHAR", "{value}": "VARCHAR"}]') ELSE [] END,
            lambda entry: {'key': entry.key, 'rank': rank, 'value': entry.value}
        )
    )), lambda entry: entry.key IS NOT NULL))],
    lambda entries: list_filter(entries, lambda entry, i: i = 1 OR entries[i - 1].key <> entry.key)
)[1]
