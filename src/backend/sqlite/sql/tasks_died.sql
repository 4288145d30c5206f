UPDATE tasks
SET state = 'pending',
    lane = route,
    due_at = NULL,
    scheduled_for = NULL,
    error = coalesce(?2, error),
    attempts = CASE WHEN ?6 IS NULL THEN attempts ELSE
        '{"started":' || ifnull(started_at, 'null') || ',"worker":' || json_quote(worker_id) || ',' || ?6
        || substr(ifnull(attempts, ''), 1, 4096)
        END,
    fence = fence + 1,
    crashes = ?3,
    deaths = deaths + ?4,
    company = ?5,
    -- one that had not begun is none
    first_started_at = CASE WHEN ?6 IS NULL THEN first_started_at ELSE coalesce(first_started_at, started_at) END,
    begun = NULL,
    worker_id = NULL,
    lease_expires_at = NULL,
    lease_boot = NULL,
    lease_until = NULL,
    limited = NULL,
    started_at = NULL,
    deadline_at = NULL,
    joins = NULL
WHERE id = ?1 AND state = 'running'
