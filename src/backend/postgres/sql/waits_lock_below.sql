-- those to whom what is leased in these executions will be delivered
SELECT w.task_id
FROM waits AS w
WHERE w.task_id = ANY(
    ARRAY(
        SELECT t.parent_task_id
        FROM tasks AS t
        WHERE t.lease_expires_at IS NOT NULL AND t.state = 'running' AND t.execution_id = ANY($1::uuid[])
    )
)
ORDER BY w.task_id
FOR UPDATE OF w
