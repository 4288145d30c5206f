-- a running task of an execution that is being cancelled is returned but not changed: it keeps its lease. Such tasks
-- come last, because every query finds them again
UPDATE tasks
SET state = CASE WHEN b.stays THEN tasks.state ELSE 'cancelled' END,
    arrival = CASE WHEN NOT b.stays THEN 0 END,
    completed_at = CASE WHEN b.stays THEN tasks.completed_at ELSE ?4 END,
    fence = tasks.fence + CASE WHEN b.stays THEN 0 ELSE 1 END,
    lane = NULL,
    due_at = CASE WHEN b.stays THEN tasks.due_at END,
    lease_expires_at = CASE WHEN b.stays THEN tasks.lease_expires_at END,
    lease_boot = CASE WHEN b.stays THEN tasks.lease_boot END,
    lease_until = CASE WHEN b.stays THEN tasks.lease_until END,
    limited = CASE WHEN b.stays THEN tasks.limited END,
    parked = NULL,
    joins = NULL
FROM (
    SELECT t.rowid AS number, false AS stays
    FROM jsonb_each(?1) AS l
    CROSS JOIN tasks AS t ON t.parent_task_id = substr(?2, l.value ->> 0, 16) AND t.arrival IS NULL
    WHERE t.state IN ('pending', 'waiting')
        OR (
            t.state = 'running'
            AND (SELECT e.state FROM executions AS e WHERE e.id = t.execution_id) <> 'cancelling'
        )
    UNION ALL
    SELECT t.rowid, true
    FROM jsonb_each(?1) AS l
    CROSS JOIN tasks AS t ON t.parent_task_id = substr(?2, l.value ->> 0, 16) AND t.arrival IS NULL
    WHERE t.state = 'running'
        AND (SELECT e.state FROM executions AS e WHERE e.id = t.execution_id) = 'cancelling'
    LIMIT ?3
) AS b
WHERE tasks.rowid = b.number
RETURNING id, parent_task_id, state, ops, worker_id, idempotency_key, false AS busy
