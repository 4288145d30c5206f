-- not needed: whatever
-- what an attempt without a journal says is counted anew; a suspect begins when its worker has said so, unless no more
-- run there than may
SELECT
    NULL AS best, t.id, t.execution_id, t.step_name, t.kind, t.parent_task_id, 'running' AS state, t.args, t.kwargs,
    t.retries, coalesce(t.made_at, t.created_at) AS created_at, t.tags, coalesce(t.asked_priority, t.priority) AS priority, t.queue, t.retry_policy, t.result, t.error,
    ifnull(t.started_at, ?4) AS started_at, t.completed_at, ?3 AS worker_id, ?6 AS lease_expires_at, t.idempotency_key,
    t.scheduled_for, t.fence + 1 AS fence, t.step_key, t.run, t.ops, CASE t.ops WHEN 0 THEN 0 ELSE t.effects END AS effects,
    t.opened, t.heartbeat, t.crashes, t.deaths, t.snoozes,
    coalesce(t.first_started_at, t.started_at, ?4) AS first_started_at,
    CASE WHEN t.company IS NULL OR t.company >= ?11 THEN ?11 END AS begun,
    t.company, ifnull(t.deadline_at, ?5 + t.timeout) AS deadline_at, t.cache_key, t.cache_ttl, t.cleanup,
    e.traceparent, t.priority AS line, t.created_at AS place,
    t.rowid AS number
FROM (
    SELECT c.rowid AS number
    FROM json_each(?1) AS l
    CROSS JOIN tasks AS c ON c.rowid IN (
        SELECT t.rowid
        FROM tasks AS t
        WHERE t.lane = l.value
            AND (
                SELECT e.state
                FROM executions AS e
                WHERE e.id = t.execution_id
                    AND (
                        e.expiry_due IS NULL OR e.ending IS NOT NULL
                        OR (e.expiry_due > ?4 AND e.expiry_due NOT BETWEEN 4611686018427387904 AND ?5)
                    )
            ) IN ('pending', 'running')
        ORDER BY t.priority DESC, t.created_at, t.id
        LIMIT ?2
    )
    ORDER BY c.priority DESC, c.created_at, c.id
    LIMIT ?2
) AS best
CROSS JOIN tasks AS t ON t.rowid = best.number
CROSS JOIN executions AS e ON e.id = t.execution_id;
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
    aside = NULL,
    begun = CASE WHEN company IS NULL OR company >= ?11 THEN ?11 END,
    effects = CASE ops WHEN 0 THEN 0 ELSE effects END,
    started_at = ifnull(started_at, ?4),
    deadline_at = ifnull(deadline_at, ?5 + timeout)
WHERE rowid = @number
