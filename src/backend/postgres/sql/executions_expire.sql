UPDATE executions
SET state = 'cancelling', ending = 'timed_out', due_at = NULL, cancel_reason = 'it took longer than it was given',
    started_at = CASE
        WHEN state = 'pending' THEN coalesce((SELECT r.opened_at FROM tasks AS r WHERE r.id = executions.root_task_id), started_at)
        ELSE started_at
    END
WHERE id = ANY(
    ARRAY(
        SELECT e.id FROM executions AS e
        WHERE e.due_at >= coalesce($3::timestamptz, '-infinity') AND e.due_at <= $1
        ORDER BY e.due_at
        LIMIT $2
        FOR NO KEY UPDATE SKIP LOCKED
    )
)
RETURNING id
