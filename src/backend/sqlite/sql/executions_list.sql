SELECT
    id, root_function,
    CASE WHEN state = 'running' AND ending IS NOT NULL THEN 'cancelling' ELSE state END AS state,
    args, kwargs, retries, created_at, started_at, completed_at, expiry_at, tags, priority, queue,
    result, error
FROM executions
WHERE created_at > ?1
    AND created_at < ?2
    AND (?3 IS NULL OR CASE WHEN state = 'running' AND ending IS NOT NULL THEN 'cancelling' ELSE state END = ?3)
    AND (?4 IS NULL OR root_function = ?4)
    AND (?5 IS NULL OR queue = ?5)
    AND (?6 IS NULL OR EXISTS (SELECT 1 FROM json_each(tags) AS t WHERE t.value = ?6))
ORDER BY created_at DESC, id DESC
LIMIT ?7 OFFSET ?8
