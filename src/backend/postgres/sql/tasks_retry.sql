UPDATE tasks
SET state = 'pending',
    lane = CASE WHEN b.due_at IS NULL THEN tasks.route END,
    readied = CASE WHEN b.due_at IS NULL THEN txid_current() END,
    due_at = b.due_at,
    scheduled_for = b.due_at,
    error = b.error,
    fence = tasks.fence + 1,
    attempts = '{"started":' || coalesce((extract(epoch FROM tasks.started_at) * 1000000)::bigint::text, 'null')
        || ',"worker":' || coalesce(to_json(tasks.worker_id)::text, 'null') || ',' || b.attempt
        || left(coalesce(tasks.attempts, ''), 4096),
    retries = tasks.retries + 1,
    first_started_at = coalesce(tasks.first_started_at, tasks.started_at),
    crashes = 0,
    company = NULL,
    begun = NULL,
    worker_id = NULL,
    lease_expires_at = NULL,
    limited = NULL,
    started_at = NULL,
    deadline_at = NULL,
    joins = NULL
FROM unnest($1::uuid[], $2::timestamptz[], $3::bytea[], $4::text[]) AS b (id, due_at, error, attempt)
WHERE tasks.id = ANY (ARRAY[b.id]) AND tasks.state IN ('running', 'waiting')
