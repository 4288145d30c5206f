INSERT INTO tasks (
    id, execution_id, parent_task_id, step_name, step_key, kind, state, lane, route, priority, created_at, due_at,
    scheduled_for, fence, worker_id, lease_expires_at, limited, started_at, completed_at, retries, timeout,
    idempotency_key, queue, tags, retry_policy, args, kwargs, result, error, lease_boot, lease_until, stray
)
VALUES (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25,
    ?26, ?27, ?28, ?29, ?30, ?32, ?33,
    CASE WHEN NOT EXISTS (SELECT 1 FROM executions AS e WHERE e.id = ?2) THEN 1 END
)
