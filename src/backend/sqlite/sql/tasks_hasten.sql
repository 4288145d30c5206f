-- a task that waits for its time, and for nothing else
UPDATE tasks SET lane = route, due_at = NULL, scheduled_for = ?2
WHERE id = ?1
    AND state = 'pending'
    AND lane IS NULL
    AND route IS NOT NULL
    AND due_at IS NOT NULL
    AND (SELECT e.state FROM executions AS e WHERE e.id = tasks.execution_id) IN ('pending', 'running')
RETURNING id
