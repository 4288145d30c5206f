SELECT name FROM temp.sqlite_schema WHERE type IN ('table', 'view') ORDER BY name
