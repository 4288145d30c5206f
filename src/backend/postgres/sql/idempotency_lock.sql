SELECT key FROM idempotency WHERE key = $1 FOR UPDATE
