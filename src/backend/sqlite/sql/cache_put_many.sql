INSERT INTO cache (key, value, expires_at)
SELECT CAST(substr(?2, value ->> 0, value ->> 1) AS TEXT), substr(?2, value ->> 2, value ->> 3), value ->> 4
FROM jsonb_each(?1)
WHERE true
ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at
