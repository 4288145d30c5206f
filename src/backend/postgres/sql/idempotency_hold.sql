-- those that exist are locked by writing them; one statement, so that all are locked in their order
INSERT INTO idempotency (key, args_hash, expires_at)
SELECT b.key, b.args_hash, $3
FROM unnest($1::text[], $2::bytea[]) AS b (key, args_hash)
ORDER BY b.key
ON CONFLICT (key) DO UPDATE SET key = excluded.key
