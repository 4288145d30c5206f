-- not needed: lease
UPDATE tasks
SET state = $2,
    result = $3,
    error = $4,
    retries = $5,
    started_at = $6,
    completed_at = $7,
    worker_id = $8,
    lease_expires_at = $9,
    scheduled_for = $10,
    fence = fence + 1,
    lane = $11::bigint,
    readied = CASE WHEN $11::bigint IS NOT NULL THEN txid_current() END,
    route = coalesce(route, $12),
    -- a task that stays waiting keeps what it waits for
    due_at = CASE WHEN state = 'waiting' AND $2 = 'waiting' THEN coalesce($13, due_at) ELSE $13 END,
    limited = $14,
    deadline_at = NULL,
    begun = NULL,
    parked = CASE WHEN state = 'waiting' AND $2 = 'waiting' THEN parked END,
    parked_version = CASE WHEN state = 'waiting' AND $2 = 'waiting' THEN parked_version END,
    joins = CASE WHEN state = 'waiting' AND $2 = 'waiting' THEN joins END
WHERE id = $1
