UPDATE executions SET state = 'cancelling', ending = 'cancelled', due_at = NULL, cancel_reason = $2,
    started_at = CASE
        WHEN state = 'pending' THEN coalesce((SELECT r.opened_at FROM tasks AS r WHERE r.id = executions.root_task_id), started_at)
        ELSE started_at
    END
WHERE id = $1 AND state IN ('pending', 'running') AND ending IS NULL
