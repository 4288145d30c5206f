INSERT INTO executions (
    id, root_function, root_task_id, state, priority, created_at, expiry_at, expiry_due, on_cancel, traceparent, queue,
    tags, args, kwargs
)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
ON CONFLICT (id) DO NOTHING
