UPDATE tasks
SET state = 'cancelled',
    arrival = 0,
    completed_at = ?4,
    fence = fence + 1,
    lane = NULL,
    due_at = NULL,
    lease_expires_at = NULL,
    lease_boot = NULL,
    lease_until = NULL,
    limited = NULL,
    parked = NULL,
    joins = NULL
WHERE rowid IN (
    SELECT t.rowid
    FROM jsonb_each(?1) AS b
    CROSS JOIN tasks AS t ON t.parent_task_id = substr(?2, b.value ->> 0, 16) AND t.arrival IS NULL
    WHERE t.state IN ('pending', 'waiting')
        OR (
            t.state = 'running'
            AND (SELECT e.state FROM executions AS e WHERE e.id = t.execution_id) <> 'cancelling'
        )
    LIMIT ?3
)
RETURNING id, ops, worker_id, idempotency_key
