INSERT INTO executions (
    id, root_function, root_task_id, state, args, kwargs, retries, created_at, started_at, completed_at, expiry_at,
    expiry_due, tags, priority, queue, result, error, on_cancel, traceparent, replay_of, cancel_reason
)
VALUES (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21
)
ON CONFLICT (id) DO NOTHING
