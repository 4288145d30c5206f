INSERT INTO unique_keys (key, execution_id, dispatched_at, window_ends_at, expires_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (key) DO UPDATE
SET execution_id = excluded.execution_id,
    dispatched_at = excluded.dispatched_at,
    window_ends_at = excluded.window_ends_at,
    expires_at = excluded.expires_at,
    asked_id = NULL
