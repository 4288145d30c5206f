SELECT id FROM executions WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE
