INSERT INTO waits (task_id, arrivals, mode, ops, missing)
SELECT
    substr(?2, value ->> 0, 16),
    value ->> 1,
    CAST(substr(?2, value ->> 2, value ->> 3) AS TEXT),
    CAST(substr(?2, value ->> 4, value ->> 5) AS TEXT),
    value ->> 6
FROM jsonb_each(?1)
WHERE true
ON CONFLICT (task_id) DO UPDATE SET
    arrivals = excluded.arrivals, mode = excluded.mode, ops = excluded.ops, missing = excluded.missing
