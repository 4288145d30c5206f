UPDATE tasks
SET state = 'pending',
    lane = CASE WHEN ?3 IS NULL THEN route END,
    due_at = ?3,
    scheduled_for = ?2,
    error = ?4,
    fence = fence + 1,
    attempts = '{"started":' || ifnull(started_at, 'null') || ',"worker":' || json_quote(worker_id) || ',' || ?5
        || substr(ifnull(attempts, ''), 1, 4096),
    retries = retries + 1,
    first_started_at = coalesce(first_started_at, started_at),
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
WHERE id = ?1 AND state IN ('running', 'waiting')
