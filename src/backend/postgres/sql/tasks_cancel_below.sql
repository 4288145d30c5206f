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
    SET (state, stopped, arrival, completed_at, fence, due_at, lease_expires_at, limited) = (
            SELECT
                CASE WHEN r.stays THEN 'running' ELSE 'cancelled' END,
                CASE WHEN r.stays THEN true END,
                CASE WHEN NOT r.stays THEN 0 END,
                CASE WHEN r.stays THEN tasks.completed_at ELSE $3::timestamptz END,
                tasks.fence + CASE WHEN r.stays THEN 0 ELSE 1 END,
                CASE WHEN r.stays THEN tasks.due_at END,
                CASE WHEN r.stays THEN tasks.lease_expires_at END,
                CASE WHEN r.stays THEN tasks.limited END
            FROM (
                SELECT
                    tasks.state = 'running'
                    AND (SELECT e.state FROM executions AS e WHERE e.id = tasks.execution_id) = 'cancelling' AS stays
            ) AS r
        ),
        lane = NULL,
        parked = NULL,
        joins = NULL
    WHERE tasks.id = ANY(ARRAY(SELECT taken.id FROM taken))
        AND tasks.arrival IS NULL
        AND tasks.state IN ('pending', 'waiting', 'running')
        AND (
            tasks.state <> 'running' OR (SELECT e.state FROM executions AS e WHERE e.id = tasks.execution_id) IS NOT NULL
        )
    RETURNING tasks.id, tasks.parent_task_id, tasks.state, tasks.ops, tasks.worker_id, tasks.idempotency_key
)
SELECT c.id, c.parent_task_id, c.state, c.ops, c.worker_id, c.idempotency_key, false AS busy FROM changed AS c
UNION ALL
SELECT f.id, f.parent_task_id, NULL, NULL, NULL, NULL, true
FROM found AS f
WHERE f.id <> ALL(ARRAY(SELECT taken.id FROM taken))
