INSERT INTO executions (
    id, root_function, root_task_id, state, priority, created_at, expiry_at, due_at, on_cancel, traceparent, replay_of,
    queue, tags, args, kwargs
)
SELECT
    $2::uuid, root_function, $3::uuid, 'pending', priority, $4::timestamptz, $4::timestamptz + (expiry_at - created_at),
    $4::timestamptz + (expiry_at - created_at), on_cancel, traceparent, id, queue, tags, args, kwargs
FROM executions
WHERE id = $1
