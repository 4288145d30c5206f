SELECT
    id, root_function, CASE WHEN state = 'running' AND ending IS NOT NULL THEN 'cancelling' ELSE state END AS state, args, kwargs,
    retries, created_at, started_at, completed_at, expiry_at, tags, priority, queue, result, error,
    root_task_id, on_cancel, traceparent, replay_of, cancel_reason
FROM executions
WHERE id = ?1
