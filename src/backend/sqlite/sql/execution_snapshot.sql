-- one statement, so that all parts are of the same moment: a row for each part, with the columns of that part; `place`
-- orders lines of progress
SELECT
    'execution' AS part, id, root_function,
    CASE WHEN state = 'running' AND ending IS NOT NULL THEN 'cancelling' ELSE state END AS state,
    args, kwargs, retries, created_at, started_at, completed_at,
    expiry_at, tags, priority, queue, result, error, replay_of, cancel_reason, NULL AS name, NULL AS cache_hit,
    NULL AS place, NULL AS whole, NULL AS fraction, NULL AS value
FROM executions
WHERE id = ?1
UNION ALL
SELECT
    'task', id, NULL, state, NULL, NULL, NULL, coalesce(made_at, created_at), started_at, completed_at, NULL,
    NULL, NULL, NULL, NULL, error, NULL, NULL, step_name, cache_hit, NULL,
    NULL, NULL, NULL
FROM tasks
WHERE execution_id = ?1
UNION ALL
SELECT
    'progress', NULL, NULL, status, NULL, NULL, NULL, NULL, started_at, completed_at, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, step, NULL, sequence,
    NULL, NULL, detail
FROM execution_progress
WHERE execution_id = ?1
UNION ALL
SELECT
    'counter', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, name, NULL, NULL,
    CASE typeof(value) WHEN 'integer' THEN value END, CASE typeof(value) WHEN 'real' THEN value END, NULL
FROM execution_counters
WHERE execution_id = ?1
UNION ALL
SELECT
    'value', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, key, NULL, NULL,
    NULL, NULL, value
FROM execution_state
WHERE execution_id = ?1
ORDER BY created_at, id, place
