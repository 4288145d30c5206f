SELECT
    id, root_function,
    CASE
        WHEN executions.state = 'running' AND executions.ending IS NOT NULL THEN 'cancelling'
        WHEN executions.state = 'pending' AND (SELECT r.opened_at FROM tasks AS r WHERE r.id = executions.root_task_id) IS NOT NULL THEN 'running'
        ELSE executions.state
    END AS state,
    args, kwargs, retries, created_at,
    CASE
        WHEN executions.state = 'pending' THEN coalesce((SELECT r.opened_at FROM tasks AS r WHERE r.id = executions.root_task_id), executions.started_at)
        ELSE coalesce(executions.started_at, (SELECT r.opened_at FROM tasks AS r WHERE r.id = executions.root_task_id))
    END AS started_at,
    completed_at, expiry_at, tags::text AS tags,
    priority, queue, result, error
FROM executions
WHERE created_at > $1
    AND created_at < $2
    AND ($3::text IS NULL OR CASE
            WHEN executions.state = 'running' AND executions.ending IS NOT NULL THEN 'cancelling'
            WHEN executions.state = 'pending' AND (SELECT r.opened_at FROM tasks AS r WHERE r.id = executions.root_task_id) IS NOT NULL THEN 'running'
            ELSE executions.state
        END = $3)
    AND ($4::text IS NULL OR root_function = $4)
    AND ($5::text IS NULL OR queue = $5)
    AND ($6::text IS NULL OR tags ? $6)
ORDER BY created_at DESC, id DESC
LIMIT $7 OFFSET $8
