UPDATE tasks
SET state = 'pending',
    lane = tasks.route,
    due_at = NULL,
    scheduled_for = NULL,
    error = coalesce(b.error, tasks.error),
    fence = tasks.fence + 1,
    crashes = b.crashes,
    deaths = tasks.deaths + b.deaths,
    company = b.company,
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
        substr(?2, value ->> 1, value ->> 2) AS error,
        value ->> 3 AS crashes,
        value ->> 4 AS deaths,
        value ->> 5 AS company
    FROM jsonb_each(?1)
) AS b
WHERE tasks.id = b.id AND tasks.state = 'running'
