UPDATE tasks
SET state = 'pending',
    lane = CASE WHEN b.due_at IS NULL THEN tasks.route END,
    due_at = b.due_at,
    scheduled_for = b.wall,
    error = b.error,
    fence = tasks.fence + 1,
    retries = tasks.retries + 1,
    crashes = 0,
    company = NULL,
    begun = NULL,
    worker_id = NULL,
    lease_expires_at = NULL,
    lease_boot = NULL,
    lease_until = NULL,
    limited = NULL,
    started_at = NULL,
    deadline_at = NULL,
    joins = NULL
FROM (
    SELECT
        substr(?2, value ->> 0, 16) AS id,
        value ->> 1 AS wall,
        value ->> 2 AS due_at,
        substr(?2, value ->> 3, value ->> 4) AS error
    FROM jsonb_each(?1)
) AS b
WHERE tasks.id = b.id AND tasks.state IN ('running', 'waiting')
