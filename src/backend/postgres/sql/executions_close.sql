-- What has timed out ended no sooner than its time: this transaction may have begun before the one that found it late. And
-- one whose root was ended by a tool before its cleanup has nothing to clean up
UPDATE executions
SET state = coalesce(ending, 'cancelled'),
    ending = NULL,
    cleanup_due = NULL,
    completed_at = CASE ending WHEN 'timed_out' THEN greatest($2::timestamptz, expiry_at) ELSE $2::timestamptz END,
    started_at = coalesce(started_at, (SELECT r.opened_at FROM tasks AS r WHERE r.id = executions.root_task_id)),
    ended_before = CASE WHEN $2::timestamptz < created_at THEN $2::timestamptz END
WHERE id = ANY(
    ARRAY(
        SELECT e.id FROM executions AS e
        WHERE e.id = ANY($1::uuid[]) AND e.state = 'cancelling'
        ORDER BY e.id
        FOR NO KEY UPDATE SKIP LOCKED
    )
)
    AND state = 'cancelling'
    AND (
        cleanup IS NULL
        OR cleanup_due IS NOT NULL
        OR coalesce((SELECT r.state FROM tasks AS r WHERE r.id = executions.root_task_id), '') NOT IN ('pending', 'waiting')
    )
    AND (SELECT count(*) FROM tasks AS t WHERE t.lease_expires_at IS NOT NULL AND t.state = 'running' AND t.execution_id = executions.id) = 0
    AND (
        SELECT count(*)
        FROM unfinished_trees AS u
        CROSS JOIN LATERAL (SELECT a.execution_id FROM tasks AS a WHERE a.id = u.task_id OFFSET 0) AS t
        WHERE t.execution_id = executions.id
    ) = 0
RETURNING id, state, on_cancel, cancel_reason, args, kwargs
