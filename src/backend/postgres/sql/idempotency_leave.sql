UPDATE idempotency
SET owner = going.execution_id
FROM (
    SELECT t.id, t.execution_id, t.step_name || '/' || t.idempotency_key AS key
    FROM tasks AS t
    WHERE t.id = ANY($1::uuid[]) AND t.idempotency_key IS NOT NULL AND t.state IN ('pending', 'running', 'waiting')
) AS going
WHERE idempotency.key = ANY (ARRAY[going.key]) AND idempotency.owner = going.id
