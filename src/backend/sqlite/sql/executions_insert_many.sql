INSERT INTO executions (
    id, root_function, root_task_id, state, priority, created_at, expiry_at, expiry_due, on_cancel, traceparent, queue,
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
    value ->> 9,
    CAST(substr(?2, value ->> 10, value ->> 11) AS TEXT),
    CAST(substr(?2, value ->> 12, value ->> 13) AS TEXT),
    CAST(substr(?2, value ->> 14, value ->> 15) AS TEXT),
    CAST(substr(?2, value ->> 16, value ->> 17) AS TEXT),
    substr(?2, value ->> 18, value ->> 19),
    substr(?2, value ->> 20, value ->> 21)
FROM jsonb_each(?1)
WHERE true
ON CONFLICT (id) DO NOTHING
