SELECT
    t.id, t.execution_id, t.step_name, t.kind, t.parent_task_id, t.state, t.args, t.kwargs, t.retries,
    coalesce(t.made_at, t.created_at) AS created_at, t.tags, coalesce(t.asked_priority, t.priority) AS priority, t.queue, t.retry_policy, t.result, t.error, t.started_at, t.completed_at, t.worker_id,
    t.lease_expires_at, t.idempotency_key, t.scheduled_for, t.fence, t.step_key
FROM tasks AS t
WHERE t.id = ANY($1::uuid[])
