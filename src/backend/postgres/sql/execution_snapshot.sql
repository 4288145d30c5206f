-- all of an execution in one row, so that all of it is seen at one moment: what belongs to it as arrays, in order
SELECT
    e.id, e.root_function, e.state, e.args, e.kwargs, e.retries, e.created_at, e.started_at, e.completed_at, e.expiry_at,
    e.tags::text AS tags, e.priority, e.queue, e.result, e.error, e.replay_of, e.cancel_reason,
    t.task_names, t.task_states, t.task_created, t.task_started, t.task_completed, t.task_cache_hits, t.task_errors,
    p.steps, p.statuses, p.started, p.completed, p.details,
    c.counter_names, c.wholes, c.fractions,
    s.keys, s.values
FROM executions AS e
CROSS JOIN LATERAL (
    SELECT
        array_agg(o.step_name) AS task_names, array_agg(o.state) AS task_states, array_agg(o.created_at) AS task_created,
        array_agg(o.started_at) AS task_started, array_agg(o.completed_at) AS task_completed,
        array_agg(o.cache_hit) AS task_cache_hits, array_agg(o.error) AS task_errors
    FROM (
        SELECT i.step_name, i.state, i.created_at, i.started_at, i.completed_at, i.cache_hit, i.error
        FROM tasks AS i
        WHERE i.execution_id = e.id
        ORDER BY i.created_at, i.id
    ) AS o
) AS t
CROSS JOIN LATERAL (
    SELECT
        array_agg(o.step) AS steps, array_agg(o.status) AS statuses, array_agg(o.started_at) AS started,
        array_agg(o.completed_at) AS completed, array_agg(o.detail) AS details
    FROM (
        SELECT i.step, i.status, i.started_at, i.completed_at, i.detail
        FROM execution_progress AS i
        WHERE i.execution_id = e.id
        ORDER BY i.sequence
    ) AS o
) AS p
CROSS JOIN LATERAL (
    SELECT array_agg(i.name) AS counter_names, array_agg(i.whole) AS wholes, array_agg(i.fraction) AS fractions
    FROM execution_counters AS i
    WHERE i.execution_id = e.id
) AS c
CROSS JOIN LATERAL (
    SELECT array_agg(i.key) AS keys, array_agg(i.value) AS values
    FROM execution_state AS i
    WHERE i.execution_id = e.id
) AS s
WHERE e.id = $1
