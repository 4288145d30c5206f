INSERT INTO executions (
    id, root_function, root_task_id, state, priority, created_at, expiry_at, expiry_due, on_cancel, traceparent, queue,
    tags, args, kwargs
)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14
WHERE NOT EXISTS (SELECT 1 FROM moves AS m WHERE m.execution_id = ?1 AND m.place <> 'here')
ON CONFLICT (id) DO NOTHING
