UPDATE tasks
SET state = 'pending',
    -- tasks of functions with a limit go to the lane of their route, where the limit is checked; so do paused ones
    lane = CASE
        WHEN EXISTS (SELECT 1 FROM functions AS f WHERE f.name = tasks.step_name AND coalesce(f.max_concurrent, f.rate, f.rate_per_key) IS NOT NULL) THEN route
        WHEN route IN (SELECT value FROM json_each(?7)) THEN route
        ELSE ?3
    END,
    due_at = ?6,
    parked = NULL,
    parked_version = NULL,
    error = NULL
WHERE rowid IN (
    SELECT t.rowid
    FROM jsonb_each(?1) AS b
    CROSS JOIN tasks AS t ON t.step_name = CAST(substr(?2, b.value ->> 0, b.value ->> 1) AS TEXT) AND t.parked IS NOT NULL
    WHERE t.state = 'waiting'
        AND t.parked_version IS NOT CAST(substr(?2, b.value ->> 2, b.value ->> 3) AS TEXT)
    LIMIT ?4
)
