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
    completed_at, expiry_at, tags::text AS tags, priority, queue, result, error,
    root_task_id, on_cancel, traceparent, replay_of, cancel_reason
FROM executions
WHERE id = $1
