SELECT i.key
FROM idempotency AS i
WHERE i.key = ANY(ARRAY(SELECT t.step_name || '/' || t.idempotency_key FROM tasks AS t WHERE t.id = ANY($1::uuid[])))
ORDER BY i.key
FOR UPDATE OF i NOWAIT
