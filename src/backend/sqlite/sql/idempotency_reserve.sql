INSERT INTO idempotency (key, owner, args_hash, expires_at) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (key) DO NOTHING
