-- what workers hold, what is due next and what is parked, each from its own index
(
    SELECT
        'running' AS part, t.id, t.execution_id, t.step_name, t.kind, t.worker_id, t.retries, coalesce(t.made_at, t.created_at) AS created_at, t.started_at,
        NULL::timestamptz AS due
    FROM tasks AS t
    WHERE t.lease_expires_at IS NOT NULL AND t.state = 'running'
    LIMIT $1
)
UNION ALL
(
    SELECT
        'due', t.id, t.execution_id, t.step_name, t.kind, t.worker_id, t.retries, coalesce(t.made_at, t.created_at) AS created_at, t.started_at,
        t.due_at
    FROM tasks AS t
    WHERE t.due_at IS NOT NULL
    ORDER BY t.due_at, t.id
    LIMIT $1
)
UNION ALL
(
    SELECT
        'parked', t.id, t.execution_id, t.step_name, t.kind, t.worker_id, t.retries, coalesce(t.made_at, t.created_at) AS created_at, t.started_at,
        NULL
    FROM tasks AS t
    WHERE t.parked IS NOT NULL
    LIMIT $1
)
