-- a running task of an execution that is being cancelled is returned but not changed: it keeps its lease. What others hold is
-- not waited for, but told
WITH found AS MATERIALIZED (
    SELECT t.id, t.parent_task_id
    FROM unnest($1::uuid[]) AS b (id)
    CROSS JOIN LATERAL (
        SELECT a.id, a.parent_task_id, a.state FROM tasks AS a WHERE a.parent_task_id = b.id AND a.arrival IS NULL OFFSET 0
    ) AS t
    WHERE t.state IN ('pending', 'waiting', 'running')
    ORDER BY t.state = 'running', t.id
    LIMIT $2
),
taken AS MATERIALIZED (
    SELECT a.id
    FROM tasks AS a
    WHERE a.id = ANY(ARRAY(SELECT found.id FROM found))
    ORDER BY a.id
    FOR NO KEY UPDATE SKIP LOCKED
),
changed AS (
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
    WHERE tasks.id = ANY(ARRAY(SELECT taken.id FROM taken))
        AND e.id = ANY (ARRAY[tasks.execution_id])
        AND tasks.arrival IS NULL
        AND tasks.state IN ('pending', 'waiting', 'running')
    RETURNING tasks.id, tasks.parent_task_id, tasks.state, tasks.ops, tasks.worker_id, tasks.idempotency_key
)
SELECT c.id, c.parent_task_id, c.state, c.ops, c.worker_id, c.idempotency_key, false AS busy FROM changed AS c
UNION ALL
SELECT f.id, f.parent_task_id, NULL, NULL, NULL, NULL, true
FROM found AS f
WHERE f.id <> ALL(ARRAY(SELECT taken.id FROM taken))
