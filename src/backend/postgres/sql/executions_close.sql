UPDATE executions
SET state = coalesce(ending, 'cancelled'),
    ending = NULL,
    completed_at = $2,
    ended_before = CASE WHEN $2::timestamptz < created_at THEN $2::timestamptz END
WHERE id = ANY($1::uuid[])
    AND state = 'cancelling'
    AND (SELECT count(*) FROM tasks AS t WHERE t.lease_expires_at IS NOT NULL AND t.state = 'running' AND t.execution_id = executions.id) = 0
    AND (
        SELECT count(*)
        FROM unfinished_trees AS u
        CROSS JOIN LATERAL (SELECT a.execution_id FROM tasks AS a WHERE a.id = u.task_id OFFSET 0) AS t
        WHERE t.execution_id = executions.id
    ) = 0
RETURNING id, state, on_cancel, cancel_reason, args, kwargs
