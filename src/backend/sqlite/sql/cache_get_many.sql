SELECT c.key, c.value
FROM cache AS c
WHERE c.key = ?1 AND (c.expires_at IS NULL OR c.expires_at > ?2)
