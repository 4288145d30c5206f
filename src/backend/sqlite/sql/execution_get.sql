SELECT
    id, root_function,
    CASE WHEN state = 'running' AND ending IS NOT NULL THEN 'cancelling' ELSE state END AS state,
    args, kwargs, retries, created_at, started_at, completed_at, expiry_at, tags, priority, queue,
    result, error
FROM executions
WHERE id = ?1
