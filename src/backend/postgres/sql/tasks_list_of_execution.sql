SELECT
    id, execution_id, step_name, kind, parent_task_id, state, args, kwargs, retries,
    coalesce(made_at, created_at) AS created_at, tags, coalesce(asked_priority, priority) AS priority, queue, retry_policy, result, error, started_at, completed_at, worker_id, lease_expires_at, idempotency_key, scheduled_for,
    fence, step_key
FROM tasks
WHERE execution_id = $1 AND root IS NULL
UNION ALL
SELECT
    id, execution_id, step_name, kind, parent_task_id, state, args, kwargs, retries,
    coalesce(made_at, created_at) AS created_at, tags, coalesce(asked_priority, priority) AS priority, queue, retry_policy, result, error, started_at, completed_at, worker_id, lease_expires_at, idempotency_key, scheduled_for,
    fence, step_key
FROM tasks
WHERE id = (SELECT e.root_task_id FROM executions AS e WHERE e.id = $1) AND root
ORDER BY created_at, id
