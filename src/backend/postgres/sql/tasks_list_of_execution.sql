SELECT
    id, execution_id, step_name, kind, parent_task_id, state, args, kwargs, retries, created_at, tags, priority, queue,
    retry_policy, result, error, started_at, completed_at, worker_id, lease_expires_at, idempotency_key, scheduled_for,
    fence, step_key
FROM tasks
WHERE execution_id = $1
ORDER BY created_at, id
