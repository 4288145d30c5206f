UPDATE tasks
SET state = 'running',
    worker_id = ?6,
    fence = fence + 1,
    lease_expires_at = ?7,
    lease_boot = ?8,
    lease_until = ?9,
    started_at = ifnull(started_at, ?3),
    -- a time-out is an attempt's: one that was suspended goes on, one whose holder died begins anew
    deadline_at = ifnull(CASE WHEN state <> 'running' THEN deadline_at END, ?5 + 4611686018427387904 + timeout),
    limited = (SELECT 1 FROM json_each(?10) AS l WHERE l.value = tasks.step_name),
    -- whoever held it before died without a word; it runs at once, and nobody knows what runs beside it
    crashes = crashes + (state = 'running'),
    deaths = deaths + (state = 'running'),
    begun = 1,
    aside = NULL,
    lane = NULL,
    due_at = NULL
WHERE id = (
    SELECT id
    FROM (
        SELECT t.id AS id, t.priority AS priority, t.created_at AS created_at
        FROM jsonb_each(?1) AS l
        -- only the best task of each lane is read
        CROSS JOIN tasks AS t ON t.id = (
            SELECT r.id
            FROM tasks AS r INDEXED BY tasks_ready
            WHERE r.lane = l.value ->> 0
                AND r.route IN (SELECT value ->> 1 FROM jsonb_each(?1))
                AND (r.scheduled_for IS NULL OR r.scheduled_for <= ?3)
                AND NOT EXISTS (
                    SELECT 1 FROM executions AS e
                    WHERE e.id = r.execution_id AND e.state NOT IN ('pending', 'running')
                )
            ORDER BY r.priority DESC, r.created_at, r.id
            LIMIT 1
        )
        UNION ALL
        SELECT t.id, t.priority, t.created_at
        FROM tasks AS t INDEXED BY tasks_leased
        WHERE t.lease_until IS NOT NULL
            AND (t.lease_boot <> ?4 OR t.lease_until < ?5)
            AND t.state = 'running'
            AND t.route IN (SELECT value ->> 1 FROM jsonb_each(?1))
            AND NOT EXISTS (
                SELECT 1 FROM executions AS e
                WHERE e.id = t.execution_id AND e.state NOT IN ('pending', 'running')
            )
    )
    ORDER BY priority DESC, created_at, id
    LIMIT 1
)
RETURNING
    id, execution_id, step_name, kind, parent_task_id, state, args, kwargs, retries,
    coalesce(made_at, created_at) AS created_at, tags, coalesce(asked_priority, priority) AS priority, queue, retry_policy, result, error, started_at, completed_at, worker_id, lease_expires_at, idempotency_key, scheduled_for,
    fence, step_key
