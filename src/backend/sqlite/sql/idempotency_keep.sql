UPDATE idempotency
SET value = done.result, owner = NULL
FROM (
    SELECT t.id, t.step_name || '/' || t.idempotency_key AS key, ifnull(t.result, CAST('null' AS BLOB)) AS result
    FROM jsonb_each(?1) AS b
    CROSS JOIN tasks AS t ON t.id = substr(?2, b.value ->> 0, 16)
    WHERE t.idempotency_key IS NOT NULL AND t.state = 'completed'
) AS done
WHERE idempotency.key = done.key AND idempotency.owner = done.id
