WITH RECURSIVE below (id) AS (
    SELECT t.id FROM tasks AS t WHERE t.parent_task_id = $1
    UNION ALL
    SELECT c.id FROM below JOIN tasks AS c ON c.parent_task_id = below.id
)
UPDATE idempotency
SET value = done.result, owner = NULL
FROM (
    SELECT t.id, t.step_name || '/' || t.idempotency_key AS key, coalesce(t.result, convert_to('null', 'UTF8')) AS result
    FROM below
    JOIN tasks AS t ON t.id = below.id
    WHERE t.idempotency_key IS NOT NULL AND t.state = 'completed'
) AS done
WHERE idempotency.key = done.key AND idempotency.owner = done.id
