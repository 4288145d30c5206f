-- an execution that others hold is ending, or stays pending until its end
UPDATE executions
SET state = 'running',
    started_at = coalesce(
        (SELECT r.opened_at FROM tasks AS r WHERE r.id = executions.root_task_id), started_at, $2::timestamptz
    )
WHERE id = ANY(
    ARRAY(SELECT e.id FROM executions AS e WHERE e.id = $1 AND e.state = 'pending' FOR NO KEY UPDATE SKIP LOCKED)
)
