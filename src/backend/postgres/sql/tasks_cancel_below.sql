-- a running task of an execution that is being cancelled is returned but not changed: it keeps its lease
UPDATE tasks
SET state = CASE WHEN tasks.state = 'running' AND e.state = 'cancelling' THEN 'running' ELSE 'cancelled' END,
    stopped = CASE WHEN tasks.state = 'running' AND e.state = 'cancelling' THEN true END,
    arrival = CASE WHEN tasks.state <> 'running' OR e.state <> 'cancelling' THEN 0 END,
    completed_at = CASE WHEN tasks.state = 'running' AND e.state = 'cancelling' THEN tasks.completed_at ELSE $3 END,
    fence = tasks.fence + CASE WHEN tasks.state = 'running' AND e.state = 'cancelling' THEN 0 ELSE 1 END,
    lane = NULL,
    due_at = CASE WHEN tasks.state = 'running' AND e.state = 'cancelling' THEN tasks.due_at END,
    lease_expires_at = CASE WHEN tasks.state = 'running' AND e.state = 'cancelling' THEN tasks.lease_expires_at END,
    limited = CASE WHEN tasks.state = 'running' AND e.state = 'cancelling' THEN tasks.limited END,
    parked = NULL,
    joins = NULL
FROM executions AS e
WHERE tasks.id = ANY(
    ARRAY(
        SELECT t.id
        FROM unnest($1::uuid[]) AS b (id)
        CROSS JOIN LATERAL (
            SELECT a.id, a.state FROM tasks AS a WHERE a.parent_task_id = b.id AND a.arrival IS NULL OFFSET 0
        ) AS t
        WHERE t.state IN ('pending', 'waiting', 'running')
        ORDER BY t.state = 'running', t.id
        LIMIT $2
    )
)
    AND e.id = ANY (ARRAY[tasks.execution_id])
    AND tasks.arrival IS NULL
    AND tasks.state IN ('pending', 'waiting', 'running')
RETURNING tasks.id, tasks.state, tasks.ops, tasks.worker_id, tasks.idempotency_key
