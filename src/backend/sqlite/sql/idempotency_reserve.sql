INSERT INTO idempotency (key, owner, args_hash, expires_at) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (key) DO UPDATE SET
    value = NULL, owner = excluded.owner, args_hash = excluded.args_hash, expires_at = excluded.expires_at
