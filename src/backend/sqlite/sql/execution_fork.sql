INSERT INTO executions (
    id, root_function, root_task_id, state, priority, created_at, expiry_at, expiry_due, on_cancel, traceparent, replay_of,
    queue, tags, args, kwargs
)
SELECT ?2, root_function, ?3, 'pending', priority, ?4, ?4 + (expiry_at - created_at), ?5 + (expiry_at - created_at), on_cancel,
    traceparent, id, queue, tags, args, kwargs
FROM executions
WHERE id = ?1
