UPDATE executions SET state = 'cancelling', ending = 'cancelled', due_at = NULL, cancel_reason = $2,
    started_at = coalesce(started_at, (SELECT r.opened_at FROM tasks AS r WHERE r.id = executions.root_task_id))
WHERE id = $1 AND state IN ('pending', 'running') AND ending IS NULL
