SELECT
    id, root_function,
    CASE WHEN state = 'running' AND ending IS NOT NULL THEN 'cancelling' ELSE state END AS state,
    args, kwargs, retries, created_at, started_at, completed_at, expiry_at, tags::text AS tags,
    priority, queue, result, error
FROM executions
WHERE created_at > $1
    AND created_at < $2
    AND ($3::text IS NULL OR CASE WHEN state = 'running' AND ending IS NOT NULL THEN 'cancelling' ELSE state END = $3)
    AND ($4::text IS NULL OR root_function = $4)
    AND ($5::text IS NULL OR queue = $5)
    AND ($6::text IS NULL OR tags ? $6)
ORDER BY created_at DESC, id DESC
LIMIT $7 OFFSET $8
