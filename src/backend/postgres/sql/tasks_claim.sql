-- how much of each lane is among the best; then so much of it is locked, whatever others hold of it. $7: whatever is
-- there, in the order of the lanes. The answer is never empty: its first column tells how many there were to choose from.
-- What an attempt without a journal says is counted anew. A suspect begins when its worker has said so, unless no more
-- run there than may
WITH best AS MATERIALIZED (
    SELECT c.lane, count(*) AS count
    FROM (
        SELECT l.lane
        FROM unnest($1::bigint[]) AS l (lane)
        CROSS JOIN LATERAL (
            SELECT t.priority, t.created_at, t.id
            FROM tasks AS t
            WHERE t.lane = l.lane
            ORDER BY t.priority DESC, t.created_at, t.id
            LIMIT $2::bigint
        ) AS t
        WHERE NOT $7::boolean
        ORDER BY t.priority DESC, t.created_at, t.id
        LIMIT $2::bigint
    ) AS c
    GROUP BY c.lane
),
chosen AS MATERIALIZED (
    SELECT c.id
    FROM unnest($1::bigint[]) AS l (lane)
    LEFT JOIN best ON best.lane = l.lane
    CROSS JOIN LATERAL (
        SELECT t.id
        FROM tasks AS t
        WHERE t.lane = l.lane
            AND (SELECT e.state FROM executions AS e WHERE e.id = t.execution_id) IN ('pending', 'running')
        ORDER BY t.priority DESC, t.created_at, t.id
        LIMIT CASE WHEN $7::boolean THEN $2::bigint ELSE coalesce(best.count, 0) END
        FOR UPDATE OF t SKIP LOCKED
    ) AS c
    LIMIT $2::bigint
),
claimed AS (
    UPDATE tasks
    SET state = 'running',
        worker_id = $3,
        fence = fence + 1,
        lane = NULL,
        due_at = NULL,
        lease_expires_at = $5::timestamptz,
        limited = $6::boolean,
        begun = CASE WHEN company IS NULL OR company >= $8::bigint THEN $8::bigint END,
        effects = CASE ops WHEN 0 THEN 0 ELSE effects END,
        started_at = coalesce(started_at, $4::timestamptz),
        deadline_at = coalesce(deadline_at, $4::timestamptz + timeout * interval '1 microsecond')
    WHERE id = ANY(ARRAY(SELECT chosen.id FROM chosen))
    RETURNING
        id, execution_id, step_name, kind, parent_task_id, state, args, kwargs, retries, created_at, tags, priority, queue,
        retry_policy, result, error, started_at, completed_at, worker_id, lease_expires_at, idempotency_key,
        scheduled_for, fence, step_key, run, ops, effects, opened, heartbeat, crashes, deaths,
        begun, company, deadline_at, cache_key, cache_ttl, cleanup,
        (SELECT e.traceparent FROM executions AS e WHERE e.id = tasks.execution_id) AS traceparent
),
-- an execution runs from the first claim of its root on; whoever locks one is about to end it
started AS (
    UPDATE executions
    SET state = 'running', started_at = $4
    WHERE id = ANY(
        ARRAY(
            SELECT e.id FROM executions AS e
            WHERE e.id = ANY(
                ARRAY(
                    SELECT c.execution_id FROM claimed AS c
                    WHERE c.kind = 'orchestrator' AND c.parent_task_id IS NULL AND c.started_at = $4
                )
            )
                AND e.state = 'pending'
            FOR NO KEY UPDATE SKIP LOCKED
        )
    )
)
SELECT
    (SELECT sum(best.count)::bigint FROM best) AS best, c.id, c.execution_id, c.step_name, c.kind, c.parent_task_id,
    c.state, c.args, c.kwargs, c.retries, c.created_at, c.tags, c.priority, c.queue, c.retry_policy, c.result, c.error,
    c.started_at, c.completed_at, c.worker_id, c.lease_expires_at, c.idempotency_key, c.scheduled_for, c.fence,
    c.step_key, c.run, c.ops, c.effects, c.opened, c.heartbeat, c.crashes, c.deaths, c.begun, c.company, c.deadline_at, c.cache_key, c.cache_ttl, c.cleanup,
    c.traceparent
FROM (SELECT 1) AS always
LEFT JOIN claimed AS c ON true
