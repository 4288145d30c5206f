INSERT INTO tasks (
    id, execution_id, parent_task_id, step_name, step_key, kind, state, lane, route, priority, created_at,
    due_at, scheduled_for, started_at, completed_at, op, arrival, timeout, joins, idempotency_key, cache_key,
    cache_ttl, queue, tags, retry_policy, args, kwargs, result, error, concurrency_key,
    asked_priority, made_at, head_start, fairness_key, fairness_weight
)
VALUES (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, CASE WHEN ?32 IS NULL THEN ?10 ELSE 0 END, ?11 - ifnull(?32, 0), ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25,
    ?26, ?27, ?28, ?29, ?30, ?31,
    CASE WHEN ?32 IS NOT NULL THEN ?10 END, CASE WHEN ?32 IS NOT NULL THEN ?11 END, ?32, ?33, ?34
)
ON CONFLICT (id) DO NOTHING
