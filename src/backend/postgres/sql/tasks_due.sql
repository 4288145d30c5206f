SELECT id, execution_id, parent_task_id, kind, state, step_name, retries, retry_policy,
    coalesce(first_started_at, started_at) AS first_started_at
FROM tasks
WHERE due_at >= coalesce($3::timestamptz, '-infinity') AND due_at <= $1
ORDER BY due_at, id
LIMIT $2
