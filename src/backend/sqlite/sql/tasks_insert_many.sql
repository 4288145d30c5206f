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
    value ->> 15,
    value ->> 16,
    value ->> 17,
    value ->> 18,
    value ->> 19,
    value ->> 20,
    value ->> 21,
    substr(?2, value ->> 22, 16),
    CAST(substr(?2, value ->> 23, value ->> 24) AS TEXT),
    CAST(substr(?2, value ->> 25, value ->> 26) AS TEXT),
    value ->> 27,
    CAST(substr(?2, value ->> 28, value ->> 29) AS TEXT),
    CAST(substr(?2, value ->> 30, value ->> 31) AS TEXT),
    CAST(substr(?2, value ->> 32, value ->> 33) AS TEXT),
    substr(?2, value ->> 34, value ->> 35),
    substr(?2, value ->> 36, value ->> 37),
    substr(?2, value ->> 38, value ->> 39),
    substr(?2, value ->> 40, value ->> 41)
FROM jsonb_each(?1)
WHERE true
ON CONFLICT (id) DO NOTHING
