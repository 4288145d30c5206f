UPDATE idempotency
SET owner = $2
WHERE key = (SELECT t.step_name || '/' || t.idempotency_key FROM tasks AS t WHERE t.id = $1) AND owner = $1
