UPDATE idempotency SET owner = ?2 WHERE key = ?1 AND owner = ?3
