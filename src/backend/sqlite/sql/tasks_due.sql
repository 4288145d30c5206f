-- not needed: since
-- dates by the wall clock, durations by the time since boot
SELECT t.id, t.execution_id, t.parent_task_id, t.kind, t.state, t.step_name, t.retries, t.retry_policy,
    coalesce(t.first_started_at, t.started_at) AS first_started_at
FROM (
    SELECT number
    FROM (SELECT rowid AS number FROM tasks WHERE due_at <= ?1 ORDER BY due_at, id LIMIT ?3)
    UNION ALL
    SELECT number
    FROM (
        SELECT rowid AS number FROM tasks
        WHERE due_at BETWEEN 4611686018427387904 AND ?2
        ORDER BY due_at, id
        LIMIT ?3
    )
) AS due
CROSS JOIN tasks AS t ON t.rowid = due.number
LIMIT ?3
