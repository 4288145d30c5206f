-- the roots, and whatever is leased in their executions: what they say from now on does not count
UPDATE tasks
SET stopped = true
WHERE id = ANY(
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
        ORDER BY id
    )
)
    AND state IN ('pending', 'running', 'waiting')
RETURNING id, state, parent_task_id
