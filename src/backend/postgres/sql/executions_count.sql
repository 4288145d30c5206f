SELECT count(*) AS count FROM executions WHERE $1::text IS NULL OR state = $1
