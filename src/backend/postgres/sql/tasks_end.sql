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
    completed_at = $10,
    fence = tasks.fence + CASE WHEN b.fence IS NULL THEN 1 ELSE 0 END,
    lane = NULL,
    due_at = NULL,
    lease_expires_at = NULL,
    limited = NULL,
    stopped = NULL,
    parked = NULL,
    parked_version = NULL,
    joins = NULL,
    heartbeat = NULL
FROM unnest(
    $1::uuid[], $2::bigint[], $3::text[], $4::bytea[], $5::bytea[], $6::bigint[], $7::boolean[], $8::bigint[], $9::bigint[]
) AS b (id, fence, state, result, error, arrival, cache_hit, ops, effects)
WHERE tasks.id = ANY (ARRAY[b.id])
    AND CASE
        WHEN b.fence IS NULL THEN tasks.state IN ('pending', 'running', 'waiting')
        ELSE tasks.fence = b.fence AND tasks.state = 'running' AND tasks.stopped IS NULL
            AND (SELECT e.state FROM executions AS e WHERE e.id = tasks.execution_id) IN ('pending', 'running')
    END
RETURNING
    tasks.id, tasks.execution_id, tasks.step_name, tasks.op, tasks.kind, tasks.retries, tasks.ops, tasks.arrival,
    tasks.idempotency_key, tasks.state
