INSERT INTO execution_progress (execution_id, step, status, started_at, completed_at, detail)
SELECT
    substr(?2, value ->> 0, 16),
    CAST(substr(?2, value ->> 1, value ->> 2) AS TEXT),
    CAST(substr(?2, value ->> 3, value ->> 4) AS TEXT),
    value ->> 5,
    value ->> 6,
    substr(?2, value ->> 7, value ->> 8)
FROM jsonb_each(?1)
ORDER BY key
