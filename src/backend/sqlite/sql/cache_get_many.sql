SELECT c.key, c.value
FROM jsonb_each(?1) AS b
JOIN cache AS c ON c.key = CAST(substr(?2, b.value ->> 0, b.value ->> 1) AS TEXT)
WHERE c.expires_at IS NULL OR c.expires_at > ?3
