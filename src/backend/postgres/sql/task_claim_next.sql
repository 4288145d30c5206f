UPDATE tasks
SET state = 'running',
    worker_id = $4,
    fence = fence + 1,
    lease_expires_at = $5,
    started_at = coalesce(started_at, $3),
    -- a time-out is an attempt's: one that was suspended goes on, one whose holder died begins anew
    deadline_at = coalesce(
        CASE WHEN state <> 'running' THEN deadline_at END, $3::timestamptz + timeout * interval '1 microsecond'
    ),
    limited = CASE WHEN step_name = ANY($6::text[]) THEN true END,
    -- whoever held it before died without a word; it runs at once, and nobody knows what runs beside it
    crashes = crashes + CASE state WHEN 'running' THEN 1 ELSE 0 END,
    deaths = deaths + CASE state WHEN 'running' THEN 1 ELSE 0 END,
    begun = 1,
    aside = NULL,
    lane = NULL,
    due_at = NULL
WHERE id = (
    SELECT t.id
    FROM (
        SELECT r.id, r.priority, r.created_at
        FROM unnest($1::bigint[]) AS l (lane)
        -- only the best task of each lane is read
        CROSS JOIN LATERAL (
            SELECT r.id, r.priority, r.created_at
            FROM tasks AS r
            WHERE r.lane = l.lane
                AND r.route = ANY($2::bigint[])
                AND (r.scheduled_for IS NULL OR r.scheduled_for <= $3)
                AND NOT EXISTS (
                    SELECT 1 FROM executions AS e
                    WHERE e.id = r.execution_id AND e.state NOT IN ('pending', 'running')
                )
            ORDER BY r.priority DESC, r.created_at, r.id
            LIMIT 64
        ) AS r
        UNION ALL
        SELECT r.id, r.priority, r.created_at
        FROM tasks AS r
        WHERE r.lease_expires_at < $3
            AND r.state = 'running'
            AND r.route = ANY($2::bigint[])
            AND NOT EXISTS (
                SELECT 1 FROM executions AS e
                WHERE e.id = r.execution_id AND e.state NOT IN ('pending', 'running')
            )
    ) AS c
    JOIN tasks AS t ON t.id = c.id
    WHERE t.lane IS NOT NULL OR (t.lease_expires_at < $3 AND t.state = 'running')
    ORDER BY c.priority DESC, c.created_at, c.id
    LIMIT 1
    FOR UPDATE OF t SKIP LOCKED
)
RETURNING
    id, execution_id, step_name, kind, parent_task_id, state, args, kwargs, retries,
    coalesce(made_at, created_at) AS created_at, tags, coalesce(asked_priority, priority) AS priority, queue, retry_policy, result, error, started_at, completed_at, worker_id, lease_expires_at, idempotency_key, scheduled_for,
    fence, step_key
