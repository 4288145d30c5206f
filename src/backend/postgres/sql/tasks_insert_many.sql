INSERT INTO tasks (
    id, execution_id, root, parent_task_id, step_name, step_key, kind, state, lane, route, priority, created_at,
    due_at, scheduled_for, started_at, completed_at, op, arrival, timeout, joins, idempotency_key, cache_key,
    cache_ttl, queue, tags, retry_policy, args, kwargs, result, error, concurrency_key,
    asked_priority, made_at, head_start, fairness_key, fairness_weight
)
SELECT
    b.id, b.execution_id, CASE WHEN b.parent_task_id IS NULL THEN true END, b.parent_task_id, b.step_name, b.step_key,
    b.kind, b.state, b.lane, b.route, CASE WHEN b.head_start IS NULL THEN b.priority ELSE 0 END,
    b.created_at - coalesce(b.head_start, 0) * interval '1 microsecond', b.due_at, b.scheduled_for, b.started_at, b.completed_at, b.op, b.arrival, b.timeout, b.joins,
    b.idempotency_key, b.cache_key, b.cache_ttl, b.queue, b.tags, b.retry_policy, b.args, b.kwargs, b.result, b.error,
    b.concurrency_key, CASE WHEN b.head_start IS NOT NULL THEN b.priority END,
    CASE WHEN b.head_start IS NOT NULL THEN b.created_at END, b.head_start, b.fairness_key, b.fairness_weight
FROM unnest(
    $1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::bigint[],
    $10::bigint[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[], $14::timestamptz[], $15::timestamptz[],
    $16::bigint[], $17::bigint[], $18::bigint[], $19::uuid[], $20::text[], $21::text[], $22::bigint[], $23::text[],
    $24::text[], $25::text[], $26::bytea[], $27::bytea[], $28::bytea[], $29::bytea[], $30::text[],
    $31::bigint[], $32::text[], $33::double precision[]
) AS b (
    id, execution_id, parent_task_id, step_name, step_key, kind, state, lane, route, priority, created_at, due_at,
    scheduled_for, started_at, completed_at, op, arrival, timeout, joins, idempotency_key, cache_key, cache_ttl, queue,
    tags, retry_policy, args, kwargs, result, error, concurrency_key, head_start,
    fairness_key, fairness_weight
)
ON CONFLICT (id) DO NOTHING
