UPDATE tasks
SET lease_expires_at = $3
FROM unnest($1::uuid[], $2::bigint[]) AS b (id, fence)
WHERE tasks.id = ANY (ARRAY[b.id]) AND tasks.fence = b.fence AND tasks.state = 'running'
RETURNING tasks.id, (SELECT e.state FROM executions AS e WHERE e.id = tasks.execution_id) AS execution_state
