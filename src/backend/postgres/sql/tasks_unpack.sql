INSERT INTO tasks (
    id, execution_id, parent_task_id, root, step_name, step_key, kind, state, lane, route, priority, created_at,
    due_at, scheduled_for, fence, worker_id, started_at, completed_at, deadline_at, retries, timeout,
    idempotency_key, queue, tags, retry_policy, args, kwargs, result, error, run, ops, effects, op, arrival, opened,
    crashes, deaths, company, cleanup, parked, parked_version, joins, cache_key, cache_ttl, cache_hit, heartbeat, snoozes,
    first_started_at, concurrency_key, asked_priority, made_at, head_start, fairness_key, fairness_weight
)
SELECT
    b.id, b.execution_id, b.parent_task_id, b.root, b.step_name, b.step_key, b.kind, b.state, b.lane, b.route,
    CASE WHEN b.head_start IS NULL THEN b.priority ELSE 0 END,
    b.created_at - coalesce(b.head_start, 0) * interval '1 microsecond',
    -- due now, if that is over
    CASE WHEN b.due_at < now() THEN now() ELSE b.due_at END, b.scheduled_for, b.fence, b.worker_id, b.started_at, b.completed_at,
    b.deadline_at, b.retries, b.timeout, b.idempotency_key, b.queue, b.tags, b.retry_policy, b.args, b.kwargs,
    b.result, b.error, b.run, b.ops, b.effects, b.op, b.arrival, b.opened, b.crashes, b.deaths, b.company,
    b.cleanup, b.parked, b.parked_version, b.joins, b.cache_key, b.cache_ttl, b.cache_hit, b.heartbeat, nullif(b.snoozes, 0),
    b.first_started_at, b.concurrency_key, CASE WHEN b.head_start IS NOT NULL THEN b.priority END,
    CASE WHEN b.head_start IS NOT NULL THEN b.created_at END, b.head_start, b.fairness_key, b.fairness_weight
FROM unnest(
    $1::uuid[], $2::uuid[], $3::uuid[], $4::boolean[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[],
    $10::bigint[], $11::bigint[], $12::timestamptz[], $13::timestamptz[], $14::timestamptz[], $15::bigint[],
    $16::text[], $17::timestamptz[], $18::timestamptz[], $19::timestamptz[], $20::bigint[], $21::bigint[],
    $22::text[], $23::text[], $24::text[], $25::text[], $26::bytea[], $27::bytea[], $28::bytea[], $29::bytea[],
    $30::bigint[], $31::bigint[], $32::bigint[], $33::bigint[], $34::bigint[], $35::bigint[], $36::bigint[],
    $37::bigint[], $38::bigint[], $39::bigint[], $40::boolean[], $41::text[], $42::uuid[], $43::text[],
    $44::bigint[], $45::boolean[], $46::bytea[], $47::bigint[], $48::timestamptz[], $49::text[],
    $50::bigint[], $51::text[], $52::double precision[]
) AS b (
    id, execution_id, parent_task_id, root, step_name, step_key, kind, state, lane, route, priority, created_at,
    due_at, scheduled_for, fence, worker_id, started_at, completed_at, deadline_at, retries, timeout,
    idempotency_key, queue, tags, retry_policy, args, kwargs, result, error, run, ops, effects, op, arrival, opened,
    crashes, deaths, company, cleanup, parked, parked_version, joins, cache_key, cache_ttl, cache_hit, heartbeat, snoozes,
    first_started_at, concurrency_key, head_start, fairness_key, fairness_weight
)
