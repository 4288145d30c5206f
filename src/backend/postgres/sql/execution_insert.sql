INSERT INTO executions (
    id, root_function, root_task_id, state, args, kwargs, retries, created_at, started_at, completed_at, expiry_at,
    due_at, ended_before, ending, tags, priority, queue, result, error
)
VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,
    CASE WHEN $4::text IN ('pending', 'running') AND $10::timestamptz IS NULL THEN $11::timestamptz END,
    CASE WHEN $10::timestamptz < $8::timestamptz THEN $10::timestamptz END,
    CASE $4::text WHEN 'cancelling' THEN 'cancelled' END, $12::text::jsonb, $13, $14, $15, $16
)
