UPDATE executions
SET state = 'running', cleanup_due = $2::timestamptz + cleanup * interval '1 microsecond'
WHERE id = ANY(
    ARRAY(
        SELECT e.id FROM executions AS e
        WHERE e.id = ANY($1::uuid[]) AND e.state = 'cancelling'
        ORDER BY e.id
        FOR NO KEY UPDATE SKIP LOCKED
    )
)
    AND state = 'cancelling'
    AND cleanup IS NOT NULL
    AND cleanup_due IS NULL
    AND (SELECT r.state FROM tasks AS r WHERE r.id = executions.root_task_id) IN ('pending', 'waiting')
    AND (SELECT count(*) FROM tasks AS t WHERE t.lease_expires_at IS NOT NULL AND t.state = 'running' AND t.execution_id = executions.id) = 0
    AND (
        SELECT count(*)
        FROM unfinished_trees AS u
        CROSS JOIN LATERAL (SELECT a.execution_id FROM tasks AS a WHERE a.id = u.task_id OFFSET 0) AS t
        WHERE t.execution_id = executions.id
    ) = 0
RETURNING id, root_task_id, cleanup
