-- one whose root was ended by a tool before its cleanup has nothing to clean up
UPDATE executions
SET state = ifnull(ending, 'cancelled'), completed_at = ?3
WHERE id IN (SELECT substr(?2, value ->> 0, 16) FROM jsonb_each(?1))
    AND state = 'cancelling'
    AND (
        cleanup IS NULL
        OR cleanup_due IS NOT NULL
        OR NOT EXISTS (SELECT 1 FROM tasks AS r WHERE r.id = executions.root_task_id AND r.state IN ('pending', 'waiting'))
    )
    AND NOT EXISTS (
        SELECT 1 FROM tasks AS t INDEXED BY tasks_leased
        WHERE t.lease_until IS NOT NULL AND t.execution_id = executions.id
    )
    AND NOT EXISTS (
        SELECT 1 FROM unfinished_trees AS u JOIN tasks AS t ON t.id = u.task_id
        WHERE t.execution_id = executions.id
    )
RETURNING id, state, on_cancel, cancel_reason, args, kwargs
