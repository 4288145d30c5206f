SELECT
    id, execution_id, step_name, kind, parent_task_id, state, args, kwargs, retries,
    coalesce(made_at, created_at) AS created_at, tags, coalesce(asked_priority, priority) AS priority, queue, retry_policy, result, error, started_at, completed_at, worker_id, lease_expires_at, idempotency_key, scheduled_for,
    fence, step_key
FROM tasks
WHERE id < ?1
    AND (?2 IS NULL OR state = ?2)
    AND (?3 IS NULL OR step_name = ?3)
    AND (?4 IS NULL OR queue = ?4)
ORDER BY id DESC
LIMIT ?5
