UPDATE tasks
SET state = 'pending',
    lane = tasks.route,
    readied = txid_current(),
    due_at = NULL,
    scheduled_for = NULL,
    error = coalesce(b.error, tasks.error),
    attempts = CASE WHEN b.attempt IS NULL THEN tasks.attempts ELSE
        '{"started":' || coalesce((extract(epoch FROM tasks.started_at) * 1000000)::bigint::text, 'null')
        || ',"worker":' || coalesce(to_json(tasks.worker_id)::text, 'null') || ',' || b.attempt
        || left(coalesce(tasks.attempts, ''), 4096)
        END,
    fence = tasks.fence + 1,
    crashes = b.crashes,
    deaths = tasks.deaths + b.deaths,
    company = b.company,
    -- one that had not begun is none
    first_started_at = CASE WHEN b.attempt IS NULL THEN tasks.first_started_at ELSE coalesce(tasks.first_started_at, tasks.started_at) END,
    begun = NULL,
    worker_id = NULL,
    lease_expires_at = NULL,
    limited = NULL,
    started_at = NULL,
    deadline_at = NULL,
    joins = NULL
FROM unnest($1::uuid[], $2::bytea[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[])
    AS b (id, error, crashes, deaths, company, attempt)
WHERE tasks.id = ANY (ARRAY[b.id]) AND tasks.state = 'running'
