SELECT count(*) AS count FROM executions WHERE $1 IS NULL OR state = $1
