UPDATE tasks
SET state = 'pending',
    -- tasks of functions with a limit go to the lane of their route, where the limit is checked; so do paused ones
    lane = CASE
        WHEN EXISTS (SELECT 1 FROM functions AS f WHERE f.name = tasks.step_name AND coalesce(f.max_concurrent::text, f.rate, f.rate_per_key) IS NOT NULL) THEN route
        WHEN route = ANY($6::bigint[]) THEN route
        ELSE $3
    END,
    readied = txid_current(),
    due_at = $5,
    parked = NULL,
    parked_version = NULL,
    error = NULL
WHERE id = ANY(
    ARRAY(
        SELECT t.id
        FROM unnest($1::text[], $2::text[]) AS b (step_name, version)
        JOIN tasks AS t ON t.step_name = b.step_name AND t.parked IS NOT NULL
        WHERE t.state = 'waiting' AND t.parked_version IS DISTINCT FROM b.version
        LIMIT $4
        FOR UPDATE OF t SKIP LOCKED
    )
)
