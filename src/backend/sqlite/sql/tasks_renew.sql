UPDATE tasks
SET lease_expires_at = ?3, lease_boot = ?4, lease_until = ?5
WHERE tasks.id = ?1 AND tasks.fence = ?2 AND tasks.state = 'running'
RETURNING id, (SELECT e.state FROM executions AS e WHERE e.id = tasks.execution_id) AS execution_state
