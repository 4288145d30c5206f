SELECT value FROM idempotency WHERE key = $1 AND value IS NOT NULL AND (expires_at IS NULL OR expires_at > now())
