-- The source rows whose id is $row_id or, where none is, begins so. Grain: load and source row.
-- of_all: how many there are; no more than $limit of them come.
SELECT x_LoadId, x_SourceRowId, count(*) OVER () AS of_all
FROM (
    SELECT DISTINCT x_LoadId, x_SourceRowId
    FROM focus.cost_and_usage
    WHERE starts_with(x_SourceRowId, $row_id) AND x_LoadId IN (SELECT unnest($load_ids::VARCHAR[]))
    QUALIFY x_SourceRowId = $row_id OR NOT bool_or(x_SourceRowId = $row_id) OVER ()
)
ORDER BY x_SourceRowId, x_LoadId
LIMIT $limit
