INSERT INTO waits (task_id)
SELECT b.task_id FROM unnest($1::uuid[]) AS b (task_id) ORDER BY b.task_id
ON CONFLICT (task_id) DO NOTHING
RETURNING task_id
