UPDATE unique_keys SET asked_id = ?2 WHERE key = ?1
