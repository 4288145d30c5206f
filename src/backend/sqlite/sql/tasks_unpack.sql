-- not needed: root
INSERT INTO tasks (
    id, execution_id, parent_task_id, step_name, step_key, kind, state, lane, route, priority, created_at, due_at,
    scheduled_for, fence, worker_id, started_at, completed_at, deadline_at, retries, timeout, idempotency_key,
    queue, tags, retry_policy, args, kwargs, result, error, run, ops, effects, op, arrival, opened, crashes, deaths,
    company, cleanup, parked, parked_version, joins, cache_key, cache_ttl, cache_hit, heartbeat, snoozes, first_started_at,
    concurrency_key, asked_priority, made_at, head_start, fairness_key, fairness_weight
)
VALUES (
    ?1, ?2, ?3, ?5, ?6, ?7, ?8, ?9, ?10, CASE WHEN ?52 IS NULL THEN ?11 ELSE 0 END, ?12 - ifnull(?52, 0), ?14, ?15, ?16, ?17, ?18, ?19, ?21, ?22, ?23, ?24, ?25, ?26, ?27,
    ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37, ?38, ?39, ?40, ?41, ?42, ?43, ?44, ?45, ?46, ?47, ?48, ?49,
    ?50, ?51, CASE WHEN ?52 IS NOT NULL THEN ?11 END, CASE WHEN ?52 IS NOT NULL THEN ?12 END, ?52, ?53, ?54
)
