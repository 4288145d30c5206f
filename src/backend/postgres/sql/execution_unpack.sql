INSERT INTO executions (
    id, root_function, root_task_id, state, args, kwargs, retries, created_at, started_at, completed_at, expiry_at,
    tags, priority, queue, result, error, on_cancel, traceparent, replay_of, cancel_reason, due_at, ended_before
)
VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::text::jsonb, $13, $14, $15, $16, $17, $18, $19, $20,
    -- due now, if that is over
    CASE WHEN $4::text IN ('pending', 'running') AND $11::timestamptz IS NOT NULL THEN greatest($11::timestamptz, now()) END,
    CASE WHEN $10::timestamptz < $8::timestamptz THEN $10::timestamptz END
)
ON CONFLICT (id) DO NOTHING
