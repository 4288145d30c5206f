-- not needed: since
SELECT
    t.id, t.execution_id, t.parent_task_id, t.step_name, t.crashes, t.begun, t.company, t.retry_policy, t.worker_id,
    (SELECT e.state FROM executions AS e WHERE e.id = t.execution_id) AS execution_state
FROM tasks AS t
WHERE t.lease_until IS NOT NULL
    AND (t.lease_boot < ?2 OR t.lease_boot > ?2 OR (t.lease_boot = ?2 AND t.lease_until < ?3))
LIMIT ?4
