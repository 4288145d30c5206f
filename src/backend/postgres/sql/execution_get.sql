SELECT
    id, root_function, state, args, kwargs, retries, created_at, started_at, completed_at, expiry_at, tags::text AS tags, priority, queue,
    result, error
FROM executions
WHERE id = $1
