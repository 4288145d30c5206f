INSERT INTO executions (
    id, root_function, root_task_id, state, args, kwargs, retries, created_at, started_at, completed_at, expiry_at,
    expiry_due, ending, tags, priority, queue, result, error
)
VALUES (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,
    CASE ?4 WHEN 'cancelling' THEN 'cancelled' END, ?13, ?14, ?15, ?16, ?17
)
