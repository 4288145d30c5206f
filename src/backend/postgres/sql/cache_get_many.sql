SELECT c.key, c.value
FROM cache AS c
WHERE c.key = ANY($1::text[]) AND (c.expires_at IS NULL OR c.expires_at > now())
