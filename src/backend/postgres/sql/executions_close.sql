UPDATE executions
SET state = coalesce(ending, 'cancelled'), completed_at = $2
WHERE id = ANY($1::uuid[])
    AND state = 'cancelling'
    AND NOT EXISTS (SELECT 1 FROM tasks AS t WHERE t.lease_expires_at IS NOT NULL AND t.execution_id = executions.id)
    AND NOT EXISTS (
        SELECT 1 FROM unfinished_trees AS u JOIN tasks AS t ON t.id = u.task_id
        WHERE t.execution_id = executions.id
    )
RETURNING id, state, on_cancel, cancel_reason, args, kwargs
