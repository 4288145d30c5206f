-- what runs in an execution that is being cancelled keeps its lease, and is only told
UPDATE tasks
SET state = CASE WHEN tasks.state = 'running' AND $4 THEN 'running' ELSE 'cancelled' END,
    stopped = CASE WHEN tasks.state = 'running' AND $4 THEN true END,
    arrival = CASE WHEN tasks.state = 'running' AND $4 THEN NULL ELSE 0 END,
    completed_at = CASE WHEN tasks.state = 'running' AND $4 THEN tasks.completed_at ELSE $3 END,
    fence = tasks.fence + CASE WHEN tasks.state = 'running' AND $4 THEN 0 ELSE 1 END,
    lane = NULL,
    due_at = CASE WHEN tasks.state = 'running' AND $4 THEN tasks.due_at END,
    lease_expires_at = CASE WHEN tasks.state = 'running' AND $4 THEN tasks.lease_expires_at END,
    limited = CASE WHEN tasks.state = 'running' AND $4 THEN tasks.limited END,
    parked = NULL,
    joins = NULL
WHERE id = ANY(
    ARRAY(
        SELECT t.id
        FROM unnest($1::uuid[]) AS b (id)
        JOIN tasks AS t ON t.parent_task_id = b.id AND t.arrival IS NULL
        WHERE t.state IN ('pending', 'waiting') OR (t.state = 'running' AND NOT ($4 AND t.stopped IS NOT NULL))
        LIMIT $2
    )
)
    AND arrival IS NULL
    AND state IN ('pending', 'waiting', 'running')
RETURNING id, state, ops, worker_id, idempotency_key
