SELECT t.parent_task_id AS id
FROM tasks AS t
WHERE t.lease_expires_at IS NOT NULL AND t.state = 'running' AND t.execution_id = ANY($1::uuid[])
    AND t.parent_task_id IS NOT NULL
UNION
SELECT e.root_task_id
FROM executions AS e
WHERE e.id = ANY($1::uuid[]) AND e.root_task_id IS NOT NULL
