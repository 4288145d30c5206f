-- one statement, so that all parts are of the same moment: a row for each part, with the columns of that part; `place`
-- orders lines of progress
SELECT
    'execution' AS part, id, root_function,
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
    completed_at,
    expiry_at, tags::text AS tags, priority, queue, result, error, replay_of, cancel_reason, NULL::text AS name,
    NULL::boolean AS cache_hit, NULL::bigint AS place, NULL::bigint AS whole, NULL::double precision AS fraction,
    NULL::bytea AS value
FROM executions
WHERE id = $1
UNION ALL
SELECT
    'task', id, NULL, state, NULL, NULL, NULL, coalesce(made_at, created_at), started_at, completed_at, NULL,
    NULL, NULL, NULL, NULL, error, NULL, NULL, step_name, cache_hit, NULL,
    NULL, NULL, NULL
FROM tasks
WHERE execution_id = $1 AND root IS NULL
UNION ALL
SELECT
    'task', id, NULL, state, NULL, NULL, NULL, coalesce(made_at, created_at), started_at, completed_at, NULL,
    NULL, NULL, NULL, NULL, error, NULL, NULL, step_name, cache_hit, NULL,
    NULL, NULL, NULL
FROM tasks
WHERE id = (SELECT e.root_task_id FROM executions AS e WHERE e.id = $1) AND root
UNION ALL
SELECT
    'progress', NULL, NULL, status, NULL, NULL, NULL, NULL, started_at, completed_at, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, step, NULL, sequence,
    NULL, NULL, detail
FROM execution_progress
WHERE execution_id = $1
UNION ALL
SELECT
    'counter', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, name, NULL, NULL,
    whole, fraction, NULL
FROM execution_counters
WHERE execution_id = $1
UNION ALL
SELECT
    'value', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, key, NULL, NULL,
    NULL, NULL, value
FROM execution_state
WHERE execution_id = $1
ORDER BY created_at, id, place
