INSERT INTO tasks (
    id, execution_id, parent_task_id, step_name, step_key, kind, state, lane, route, priority, created_at,
    due_at, scheduled_for, started_at, completed_at, op, arrival, timeout, joins, idempotency_key, cache_key,
    cache_ttl, queue, tags, retry_policy, args, kwargs, result, error, concurrency_key
)
VALUES (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25,
    ?26, ?27, ?28, ?29, ?30, ?31
)
ON CONFLICT (id) DO NOTHING
