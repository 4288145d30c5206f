INSERT INTO dead_letters (task_id, execution_id, function, task, reason, moved_at)
SELECT
    substr(?2, value ->> 0, 16),
    substr(?2, value ->> 1, 16),
    CAST(substr(?2, value ->> 2, value ->> 3) AS TEXT),
    substr(?2, value ->> 4, value ->> 5),
    CAST(substr(?2, value ->> 6, value ->> 7) AS TEXT),
    ?3
FROM jsonb_each(?1)
WHERE true
ON CONFLICT (task_id) DO UPDATE SET task = excluded.task, reason = excluded.reason, moved_at = excluded.moved_at
