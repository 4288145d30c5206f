UPDATE tasks
SET lease_expires_at = ?3, lease_boot = ?4, lease_until = ?5
FROM (SELECT substr(?2, value ->> 0, 16) AS id, value ->> 1 AS fence FROM jsonb_each(?1)) AS b
WHERE tasks.id = b.id AND tasks.fence = b.fence AND tasks.state = 'running'
RETURNING id, (SELECT e.state FROM executions AS e WHERE e.id = tasks.execution_id) AS execution_state
