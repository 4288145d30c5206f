INSERT INTO executions (
    id, root_function, root_task_id, state, priority, created_at, expiry_at, on_cancel, traceparent, queue,
    tags, args, kwargs
)
SELECT
    substr(?2, value ->> 0, 16),
    CAST(substr(?2, value ->> 1, value ->> 2) AS TEXT),
    substr(?2, value ->> 3, 16),
    CAST(substr(?2, value ->> 4, value ->> 5) AS TEXT),
    value ->> 6,
    value ->> 7,
    value ->> 8,
    CAST(substr(?2, value ->> 9, value ->> 10) AS TEXT),
    CAST(substr(?2, value ->> 11, value ->> 12) AS TEXT),
    CAST(substr(?2, value ->> 13, value ->> 14) AS TEXT),
    CAST(substr(?2, value ->> 15, value ->> 16) AS TEXT),
    substr(?2, value ->> 17, value ->> 18),
    substr(?2, value ->> 19, value ->> 20)
FROM jsonb_each(?1)
WHERE true
ON CONFLICT (id) DO NOTHING
