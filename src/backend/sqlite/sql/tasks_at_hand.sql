-- what workers hold, what is due next and what is parked, each from its own index
SELECT
    'running' AS part, t.id, t.execution_id, t.step_name, t.kind, t.worker_id, t.retries, coalesce(t.made_at, t.created_at) AS created_at, t.started_at,
    NULL AS due
FROM (SELECT rowid AS number FROM tasks INDEXED BY tasks_leased WHERE lease_until IS NOT NULL LIMIT ?1) AS held
CROSS JOIN tasks AS t ON t.rowid = held.number
UNION ALL
SELECT
    'due', t.id, t.execution_id, t.step_name, t.kind, t.worker_id, t.retries, coalesce(t.made_at, t.created_at) AS created_at, t.started_at,
    iif(t.due_at < 4611686018427387904, t.due_at, ?2 - ?4 + t.due_at - 4611686018427387904)
FROM (
    SELECT number
    FROM (SELECT rowid AS number FROM tasks WHERE due_at < 4611686018427387904 ORDER BY due_at LIMIT ?1)
    UNION ALL
    SELECT number
    FROM (SELECT rowid AS number FROM tasks WHERE due_at >= 4611686018427387904 ORDER BY due_at LIMIT ?1)
) AS soon
CROSS JOIN tasks AS t ON t.rowid = soon.number
UNION ALL
SELECT
    'parked', t.id, t.execution_id, t.step_name, t.kind, t.worker_id, t.retries, coalesce(t.made_at, t.created_at) AS created_at, t.started_at,
    NULL
FROM (SELECT rowid AS number FROM tasks INDEXED BY tasks_parked WHERE parked IS NOT NULL LIMIT ?1) AS stopped
CROSS JOIN tasks AS t ON t.rowid = stopped.number
