-- moves: 0 hold, 1 retry, 2 suspend, 3 release, 4 park, 5 continue, 6 snooze. New operations reset `crashes`; effects alone do so
-- only with a journal, as without one the next attempt records them again. What suspends when its time is over is due now
UPDATE tasks
SET state = CASE b.move WHEN 0 THEN 'running' WHEN 2 THEN 'waiting' WHEN 4 THEN 'waiting' ELSE 'pending' END,
    lane = CASE WHEN b.move IN (1, 3, 5, 6) AND b.due_at IS NULL THEN tasks.route END,
    readied = CASE WHEN b.move IN (1, 3, 5, 6) AND b.due_at IS NULL THEN txid_current() END,
    due_at = CASE b.move
        WHEN 0 THEN tasks.due_at
        WHEN 1 THEN b.due_at
        WHEN 6 THEN b.due_at
        WHEN 2 THEN CASE WHEN tasks.deadline_at < now() THEN now() ELSE tasks.deadline_at END
    END,
    scheduled_for = CASE WHEN b.move IN (1, 6) THEN b.due_at ELSE tasks.scheduled_for END,
    error = CASE WHEN b.move IN (1, 4) THEN b.error WHEN b.move = 5 THEN NULL ELSE tasks.error END,
    attempts = CASE WHEN b.move IN (1, 6) THEN
        CASE b.move WHEN 6 THEN '{"snoozes":' || (coalesce(tasks.snoozes, 0) + 1) || ',' ELSE '{' END || '"started":' || coalesce((extract(epoch FROM tasks.started_at) * 1000000)::bigint::text, 'null')
        || ',"worker":' || coalesce(to_json(tasks.worker_id)::text, 'null') || ',' || b.attempt
        || left(coalesce(tasks.attempts, ''), 4096)
        ELSE tasks.attempts END,
    retries = tasks.retries + CASE b.move WHEN 1 THEN 1 ELSE 0 END,
    snoozes = CASE b.move WHEN 6 THEN coalesce(tasks.snoozes, 0) + 1 ELSE tasks.snoozes END,
    first_started_at = CASE
        WHEN b.move IN (1, 6) THEN coalesce(tasks.first_started_at, tasks.started_at)
        WHEN b.move = 5 THEN b.now
        ELSE tasks.first_started_at
    END,
    crashes = CASE WHEN b.move IN (1, 2, 5, 6) OR b.ops > 0 OR (b.effects > 0 AND tasks.ops > 0) THEN 0 ELSE tasks.crashes END,
    company = CASE WHEN b.move IN (1, 2, 5, 6) OR b.ops > 0 OR (b.effects > 0 AND tasks.ops > 0) THEN NULL ELSE tasks.company END,
    begun = CASE b.move WHEN 0 THEN coalesce(b.begun, tasks.begun) END,
    started_at = CASE WHEN b.move IN (1, 6) OR (b.move = 3 AND tasks.ops = 0) THEN NULL ELSE tasks.started_at END,
    deadline_at = CASE WHEN b.move IN (1, 5, 6) OR (b.move = 3 AND tasks.ops = 0) THEN NULL ELSE tasks.deadline_at END,
    lease_expires_at = CASE b.move WHEN 0 THEN tasks.lease_expires_at END,
    limited = CASE b.move WHEN 0 THEN tasks.limited END,
    worker_id = CASE WHEN b.move IN (0, 2) THEN tasks.worker_id END,
    parked = CASE b.move WHEN 4 THEN true END,
    parked_version = CASE b.move WHEN 4 THEN b.version END,
    run = tasks.run + CASE b.move WHEN 5 THEN 1 ELSE 0 END,
    ops = CASE b.move WHEN 5 THEN 0 ELSE tasks.ops + b.ops END,
    aside = CASE WHEN b.aside THEN coalesce(tasks.aside, 0) + 1 WHEN b.move = 0 THEN tasks.aside END,
    effects = CASE b.move WHEN 5 THEN 0 ELSE tasks.effects + b.effects END,
    opened = CASE b.move WHEN 5 THEN NULL ELSE tasks.opened END,
    heartbeat = coalesce(b.heartbeat, tasks.heartbeat),
    args = CASE b.move WHEN 5 THEN b.args ELSE tasks.args END
FROM unnest(
    $1::uuid[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::bytea[], $6::bigint[], $7::bigint[], $8::bytea[],
    $9::text[], $10::bytea[], $11::bigint[], $12::bigint[], $13::bigint[], $14::text[],
    $15::timestamptz[], $16::boolean[]
) AS b (id, fence, move, due_at, error, ops, effects, heartbeat, version, args, from_ops, from_effects, begun, attempt, now, aside)
WHERE tasks.id = ANY (ARRAY[b.id])
    AND tasks.fence = b.fence
    AND tasks.state = 'running'
    AND tasks.ops = coalesce(b.from_ops + coalesce(tasks.aside, 0), tasks.ops)
    AND tasks.effects = coalesce(b.from_effects, tasks.effects)
    AND tasks.stopped IS NULL
    AND (SELECT e.state FROM executions AS e WHERE e.id = tasks.execution_id) IN ('pending', 'running')
RETURNING tasks.id, tasks.step_name
