INSERT INTO waits (task_id)
SELECT b.id FROM unnest($1::uuid[]) AS b (id) ORDER BY b.id
ON CONFLICT (task_id) DO NOTHING
RETURNING task_id
