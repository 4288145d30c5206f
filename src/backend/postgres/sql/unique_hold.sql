-- those that exist are locked by writing them; one statement, so that all are locked in their order
INSERT INTO unique_keys (key, dispatched_at, expires_at)
SELECT b.key, $2, $2
FROM unnest($1::text[]) AS b (key)
ORDER BY b.key
ON CONFLICT (key) DO UPDATE SET key = excluded.key
RETURNING key, execution_id
