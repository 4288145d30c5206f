INSERT INTO execution_state (execution_id, key, value)
SELECT
    substr(?2, value ->> 0, 16),
    CAST(substr(?2, value ->> 1, value ->> 2) AS TEXT),
    substr(?2, value ->> 3, value ->> 4)
FROM jsonb_each(?1)
WHERE true
ON CONFLICT (execution_id, key) DO UPDATE SET value = excluded.value
