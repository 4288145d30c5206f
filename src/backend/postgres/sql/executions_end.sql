UPDATE executions
SET state = b.state,
    result = b.result,
    error = b.error,
    retries = b.retries,
    completed_at = $6,
    ended_before = CASE WHEN $6::timestamptz < executions.created_at THEN $6::timestamptz END,
    due_at = NULL
FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::bytea[], $5::bigint[]) AS b (id, state, result, error, retries)
WHERE executions.id = ANY (ARRAY[b.id]) AND executions.state IN ('pending', 'running')
