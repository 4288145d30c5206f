-- a root that has cleaned up is cancelled, whatever it said
UPDATE tasks
SET state = CASE
        WHEN tasks.cleanup IS NOT NULL
            AND (SELECT e.ending FROM executions AS e WHERE e.id = tasks.execution_id) IS NOT NULL THEN 'cancelled'
        ELSE b.state
    END,
    result = b.result,
    error = b.error,
    arrival = b.arrival,
    cache_hit = b.cache_hit,
    ops = tasks.ops + b.ops,
    effects = tasks.effects + b.effects,
    completed_at = ?3,
    fence = tasks.fence + (b.fence IS NULL),
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
FROM (
    SELECT
        substr(?2, value ->> 0, 16) AS id,
        value ->> 1 AS fence,
        CAST(substr(?2, value ->> 2, value ->> 3) AS TEXT) AS state,
        substr(?2, value ->> 4, value ->> 5) AS result,
        substr(?2, value ->> 6, value ->> 7) AS error,
        value ->> 8 AS arrival,
        value ->> 9 AS cache_hit,
        value ->> 10 AS ops,
        value ->> 11 AS effects
    FROM jsonb_each(?1)
) AS b
WHERE tasks.id = b.id
    AND CASE
        WHEN b.fence IS NULL THEN tasks.state IN ('pending', 'running', 'waiting')
        ELSE tasks.fence = b.fence AND tasks.state = 'running'
            AND (SELECT e.state FROM executions AS e WHERE e.id = tasks.execution_id) IN ('pending', 'running')
    END
RETURNING id, execution_id, step_name, op, kind, retries, ops, arrival, idempotency_key, state
