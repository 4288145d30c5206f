UPDATE executions
SET state = 'running', cleanup_due = ?4 + cleanup
WHERE id IN (SELECT substr(?2, value ->> 0, 16) FROM jsonb_each(?1))
    AND state = 'cancelling'
    AND cleanup IS NOT NULL
    AND cleanup_due IS NULL
    AND EXISTS (SELECT 1 FROM tasks AS r WHERE r.id = executions.root_task_id AND r.state IN ('pending', 'waiting'))
    AND NOT EXISTS (
        SELECT 1 FROM tasks AS t INDEXED BY tasks_leased
        WHERE t.lease_until IS NOT NULL AND t.execution_id = executions.id
    )
    AND NOT EXISTS (
        SELECT 1 FROM unfinished_trees AS u JOIN tasks AS t ON t.id = u.task_id
        WHERE t.execution_id = executions.id
    )
RETURNING id, root_task_id, cleanup
