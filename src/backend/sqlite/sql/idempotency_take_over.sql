UPDATE idempotency SET value = NULL, owner = ?2, args_hash = ?3, expires_at = ?4 WHERE key = ?1
