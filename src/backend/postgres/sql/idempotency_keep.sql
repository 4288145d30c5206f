UPDATE idempotency
SET value = done.result, owner = NULL
FROM (
    SELECT t.id, t.step_name || '/' || t.idempotency_key AS key, coalesce(t.result, convert_to('null', 'UTF8')) AS result
    FROM tasks AS t
    WHERE t.id = ANY($1::uuid[]) AND t.idempotency_key IS NOT NULL AND t.state = 'completed'
) AS done
WHERE idempotency.key = ANY (ARRAY[done.key]) AND idempotency.owner = done.id
