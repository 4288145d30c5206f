SELECT
    id, execution_id, step_name, kind, parent_task_id, state, args, kwargs, retries,
    coalesce(made_at, created_at) AS created_at, tags, coalesce(asked_priority, priority) AS priority, queue, retry_policy, result, error, started_at, completed_at, worker_id, lease_expires_at, idempotency_key, scheduled_for,
    fence, step_key
FROM tasks
WHERE id = ?1
