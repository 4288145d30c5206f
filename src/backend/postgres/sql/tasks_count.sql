SELECT count(*) AS count FROM tasks WHERE ($1 IS NULL OR queue = $1) AND ($2 IS NULL OR state = $2)
