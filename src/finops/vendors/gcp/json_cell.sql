-- The JSON list in a text cell. What Python printed instead (single quotes, None, True) becomes JSON;
-- what is neither, or a number, is an error.
CASE WHEN CASE WHEN json_valid({cell}) THEN json_type({cell}) END IN ('ARRAY', 'OBJECT', 'NULL') THEN {cell}
ELSE list_transform(
    [array_to_string(list_transform(
        regexp_extract_all({cell}, '''(?:[^''\\]|\\.)*''|"(?:[^"\\]|\\.)*"|[^''"]+'),
        lambda token: CASE left(token, 1)
            WHEN '''' THEN '"' || replace(replace(substr(token, 2, length(token) - 2), '\''', ''''), '"', '\"') || '"'
            WHEN '"' THEN token
            ELSE replace(replace(replace(token, 'None', 'null'), 'True', 'true'), 'False', 'false')
        END
    ), '')],
    lambda text: CASE WHEN CASE WHEN json_valid(text) THEN json_type(text) END IN ('ARRAY', 'OBJECT') THEN text
        ELSE CAST(CAST('?' || {cell} AS JSON) AS VARCHAR) END
)[1] END
