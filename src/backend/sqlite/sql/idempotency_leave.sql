UPDATE idempotency
SET owner = going.execution_id
FROM (
    SELECT t.id, t.execution_id, t.step_name || '/' || t.idempotency_key AS key
    FROM jsonb_each(?1) AS b
    CROSS JOIN tasks AS t ON t.id = substr(?2, b.value ->> 0, 16)
    WHERE t.idempotency_key IS NOT NULL AND t.state IN ('pending', 'running', 'waiting')
) AS going
WHERE idempotency.key = going.key AND idempotency.owner = going.id
