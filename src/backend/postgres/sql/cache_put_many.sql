INSERT INTO cache (key, value, expires_at)
SELECT DISTINCT ON (b.key) b.key, b.value, b.expires_at
FROM unnest($1::text[], $2::bytea[], $3::timestamptz[]) WITH ORDINALITY AS b (key, value, expires_at, position)
ORDER BY b.key, b.position DESC
ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at
