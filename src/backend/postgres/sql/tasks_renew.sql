-- what others are at is left out: who renews waits for nobody while he holds rows
WITH mine AS (
    SELECT t.id
    FROM unnest($1::uuid[], $2::bigint[]) AS b (id, fence)
    CROSS JOIN LATERAL (
        SELECT a.id FROM tasks AS a
        WHERE a.id = b.id AND a.fence = b.fence AND a.state = 'running'
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS t
)
UPDATE tasks
SET lease_expires_at = $3
FROM mine
WHERE tasks.id = ANY (ARRAY[mine.id])
RETURNING tasks.id, (SELECT e.state FROM executions AS e WHERE e.id = tasks.execution_id) AS execution_state
