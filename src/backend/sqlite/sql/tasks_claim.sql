-- not needed: whatever
-- what an attempt without a journal says is counted anew; a suspect begins when its worker has said so, unless no more
-- run there than may
UPDATE tasks
SET state = 'running',
    worker_id = ?3,
    fence = fence + 1,
    lane = NULL,
    due_at = NULL,
    lease_expires_at = ?6,
    lease_boot = ?7,
    lease_until = ?8,
    limited = ?9,
    begun = CASE WHEN company IS NULL OR company >= ?11 THEN ?11 END,
    effects = CASE ops WHEN 0 THEN 0 ELSE effects END,
    started_at = ifnull(started_at, ?4),
    deadline_at = ifnull(deadline_at, ?5 + timeout)
WHERE rowid IN (
    SELECT c.rowid
    FROM json_each(?1) AS l
    CROSS JOIN tasks AS c ON c.rowid IN (
        SELECT t.rowid
        FROM tasks AS t
        WHERE t.lane = l.value
            AND (SELECT e.state FROM executions AS e WHERE e.id = t.execution_id) IN ('pending', 'running')
        ORDER BY t.priority DESC, t.created_at, t.id
        LIMIT ?2
    )
    ORDER BY c.priority DESC, c.created_at, c.id
    LIMIT ?2
)
RETURNING
    NULL AS best, id, execution_id, step_name, kind, parent_task_id, state, args, kwargs, retries, created_at, tags,
    priority, queue, retry_policy, result, error, started_at, completed_at, worker_id, lease_expires_at,
    idempotency_key, scheduled_for, fence, step_key, run, ops, effects, opened, heartbeat, crashes, deaths,
    begun, company, deadline_at, cache_key, cache_ttl, cleanup,
    (SELECT e.traceparent FROM executions AS e WHERE e.id = tasks.execution_id) AS traceparent
