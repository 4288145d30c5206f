SELECT value FROM cache WHERE key = ?1 AND (expires_at IS NULL OR expires_at > ?2)
