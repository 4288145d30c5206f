SELECT step_name, state, created_at, started_at, completed_at, cache_hit, error
FROM tasks
WHERE execution_id = $1
ORDER BY created_at, id
