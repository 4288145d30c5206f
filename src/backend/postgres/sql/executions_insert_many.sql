INSERT INTO executions (
    id, root_function, root_task_id, state, priority, created_at, expiry_at, due_at, on_cancel, traceparent, queue, tags,
    args, kwargs
)
SELECT
    b.id, b.root_function, b.root_task_id, b.state, b.priority, b.created_at, b.expiry_at,
    -- due now, if that is over
    CASE WHEN b.expiry_at < now() THEN now() ELSE b.expiry_at END,
    b.on_cancel, b.traceparent,
    b.queue, b.tags::jsonb, b.args, b.kwargs
FROM unnest(
    $1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::bigint[], $6::timestamptz[], $7::timestamptz[], $8::text[],
    $9::text[], $10::text[], $11::text[], $12::bytea[], $13::bytea[]
) AS b (
    id, root_function, root_task_id, state, priority, created_at, expiry_at, on_cancel, traceparent, queue, tags, args,
    kwargs
)
WHERE NOT EXISTS (SELECT 1 FROM moves AS m WHERE m.execution_id = b.id AND m.place <> 'here')
ON CONFLICT (id) DO NOTHING
