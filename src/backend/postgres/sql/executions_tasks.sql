SELECT t.id FROM tasks AS t WHERE t.execution_id = ANY($1::uuid[]) LIMIT $2
