-- those that exist are locked by writing them; one statement, so that all are locked in their order
INSERT INTO idempotency (key, owner, args_hash, expires_at)
SELECT b.key, b.owner, b.args_hash, $4
FROM unnest($1::text[], $2::uuid[], $3::bytea[]) AS b (key, owner, args_hash)
ORDER BY b.key
ON CONFLICT (key) DO UPDATE SET key = excluded.key
