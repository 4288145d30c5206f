-- the roots and all running tasks of these executions: what these write from now on is refused
UPDATE tasks
SET stopped = true
WHERE id = ANY(
    ARRAY(
        SELECT a.id
        FROM tasks AS a
        WHERE a.id = ANY(
            ARRAY(
                SELECT t.id
                FROM unnest($1::uuid[]) AS b (execution_id)
                JOIN executions AS e ON e.id = ANY (ARRAY[b.execution_id]) AND e.state = 'cancelling'
                JOIN tasks AS t ON t.id = ANY (ARRAY[e.root_task_id])
                WHERE t.state IN ('pending', 'running', 'waiting')
                UNION
                SELECT t.id
                FROM tasks AS t
                WHERE t.lease_expires_at IS NOT NULL AND t.state = 'running' AND t.execution_id = ANY($1::uuid[])
            )
        )
        ORDER BY a.id
        FOR NO KEY UPDATE
    )
)
    AND state IN ('pending', 'running', 'waiting')
RETURNING id, state, parent_task_id
