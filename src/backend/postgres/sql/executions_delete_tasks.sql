DELETE FROM tasks
WHERE id = ANY(ARRAY(SELECT t.id FROM tasks AS t WHERE t.execution_id = ANY($1::uuid[]) LIMIT $2))
RETURNING id
