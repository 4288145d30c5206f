-- one at rest already stays so; of one that has not begun, as far as is known, there is nothing to clean up
UPDATE tasks
SET state = 'waiting',
    fence = tasks.fence + 1,
    worker_id = NULL,
    lane = NULL,
    due_at = NULL,
    lease_expires_at = NULL,
    lease_boot = NULL,
    lease_until = NULL,
    limited = NULL,
    begun = NULL,
    parked = NULL,
    parked_version = NULL
FROM executions AS e
WHERE tasks.id IN (SELECT substr(?2, value ->> 0, 16) FROM jsonb_each(?1))
    AND tasks.state IN ('pending', 'running', 'waiting')
    AND e.id = tasks.execution_id
    AND e.root_task_id = tasks.id
    AND e.state = 'cancelling'
    AND e.cleanup_due IS NULL
    AND (
        e.cleanup IS NOT NULL
        OR (
            tasks.step_name IN (SELECT value FROM json_each(?3))
            AND tasks.joins IS NULL
            AND (tasks.ops > 0 OR tasks.begun IS NOT NULL OR tasks.retries > 0 OR tasks.deaths > 0)
        )
    )
RETURNING id, execution_id, step_name
