INSERT INTO tasks (
    id, execution_id, parent_task_id, step_name, step_key, kind, state, lane, route, priority, created_at,
    due_at, scheduled_for, started_at, completed_at, op, arrival, timeout, joins, idempotency_key, cache_key,
    cache_ttl, queue, tags, retry_policy, args, kwargs, result, error
)
SELECT
    substr(?2, value ->> 0, 16),
    substr(?2, value ->> 1, 16),
    substr(?2, value ->> 2, 16),
    CAST(substr(?2, value ->> 3, value ->> 4) AS TEXT),
    CAST(substr(?2, value ->> 5, value ->> 6) AS TEXT),
    CAST(substr(?2, value ->> 7, value ->> 8) AS TEXT),
    CAST(substr(?2, value ->> 9, value ->> 10) AS TEXT),
    value ->> 11,
    value ->> 12,
    value ->> 13,
    value ->> 14,
    value ->> 16,
    value ->> 17,
    value ->> 18,
    value ->> 19,
    value ->> 20,
    value ->> 21,
    value ->> 22,
    substr(?2, value ->> 23, 16),
    CAST(substr(?2, value ->> 24, value ->> 25) AS TEXT),
    CAST(substr(?2, value ->> 26, value ->> 27) AS TEXT),
    value ->> 28,
    CAST(substr(?2, value ->> 29, value ->> 30) AS TEXT),
    CAST(substr(?2, value ->> 31, value ->> 32) AS TEXT),
    CAST(substr(?2, value ->> 33, value ->> 34) AS TEXT),
    substr(?2, value ->> 35, value ->> 36),
    substr(?2, value ->> 37, value ->> 38),
    substr(?2, value ->> 39, value ->> 40),
    substr(?2, value ->> 41, value ->> 42)
FROM jsonb_each(?1)
WHERE true
ON CONFLICT (id) DO NOTHING
