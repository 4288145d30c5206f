SELECT
    t.id, t.execution_id, t.parent_task_id, t.step_name, t.crashes, t.begun, t.company, t.retry_policy, t.worker_id,
    (SELECT e.state FROM executions AS e WHERE e.id = t.execution_id) AS execution_state
FROM tasks AS t
WHERE t.lease_expires_at >= coalesce($3::timestamptz, '-infinity') AND t.state = 'running' AND t.lease_expires_at < $1
LIMIT $2
