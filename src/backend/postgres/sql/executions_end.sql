-- one that cleans up ends as what it was coming to, when nobody holds a lease in it
UPDATE executions
SET state = CASE WHEN executions.ending IS NULL THEN b.state ELSE 'cancelling' END,
    result = b.result,
    error = b.error,
    retries = b.retries,
    completed_at = CASE WHEN executions.ending IS NULL THEN $6::timestamptz END,
    ended_before = CASE
        WHEN executions.ending IS NULL AND $6::timestamptz < executions.created_at THEN $6::timestamptz
    END,
    due_at = NULL,
    started_at = CASE
        WHEN executions.state = 'pending' THEN coalesce((SELECT r.opened_at FROM tasks AS r WHERE r.id = executions.root_task_id), executions.started_at)
        ELSE coalesce(executions.started_at, (SELECT r.opened_at FROM tasks AS r WHERE r.id = executions.root_task_id))
    END
FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::bytea[], $5::bigint[]) AS b (id, state, result, error, retries)
WHERE executions.id = ANY (ARRAY[b.id]) AND executions.state IN ('pending', 'running')
RETURNING executions.id, executions.state
