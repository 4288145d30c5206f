-- a root that has cleaned up is cancelled, whatever it said
SELECT
    t.id, t.execution_id, t.step_name, t.op, t.kind, t.retries, t.ops + ?8 AS ops, ?6 AS arrival, t.idempotency_key,
    CASE
        WHEN t.cleanup IS NOT NULL
            AND (SELECT e.ending FROM executions AS e WHERE e.id = t.execution_id) IS NOT NULL THEN 'cancelled'
        ELSE ?3
    END AS state,
    t.rowid AS number
FROM tasks AS t
WHERE t.id = ?1
    AND CASE
        WHEN ?2 IS NULL THEN t.state IN ('pending', 'running', 'waiting')
        ELSE t.fence = ?2 AND t.state = 'running'
            AND (SELECT e.state FROM executions AS e WHERE e.id = t.execution_id) IN ('pending', 'running')
    END;
UPDATE tasks
SET state = CASE
        WHEN cleanup IS NOT NULL
            AND (SELECT e.ending FROM executions AS e WHERE e.id = tasks.execution_id) IS NOT NULL THEN 'cancelled'
        ELSE ?3
    END,
    result = ?4,
    error = ?5,
    arrival = ?6,
    cache_hit = ?7,
    ops = ops + ?8,
    effects = effects + ?9,
    completed_at = ?10,
    fence = fence + (?2 IS NULL),
    lane = NULL,
    due_at = NULL,
    lease_expires_at = NULL,
    lease_boot = NULL,
    lease_until = NULL,
    limited = NULL,
    parked = NULL,
    parked_version = NULL,
    joins = NULL,
    heartbeat = NULL
WHERE rowid = @number
