DELETE FROM idempotency WHERE key IN (SELECT k.key FROM idempotency AS k WHERE k.expires_at <= $1 ORDER BY k.expires_at LIMIT $2)
