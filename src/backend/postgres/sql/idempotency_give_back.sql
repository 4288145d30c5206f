DELETE FROM idempotency WHERE key = $1 AND owner = $2
