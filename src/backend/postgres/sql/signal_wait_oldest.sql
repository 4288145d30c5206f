SELECT id, parent_task_id FROM tasks
WHERE kind = 'signal' AND state = 'waiting' AND execution_id = $1 AND step_name = $2
ORDER BY created_at, id
LIMIT 1
