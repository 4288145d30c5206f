INSERT INTO tasks (
    id, execution_id, parent_task_id, step_name, step_key, kind, state, lane, route, priority, created_at, due_at,
    scheduled_for, fence, worker_id, lease_expires_at, limited, started_at, completed_at, retries, timeout,
    idempotency_key, queue, tags, retry_policy, args, kwargs, result, error, stray
)
SELECT
    b.id, b.execution_id, b.parent_task_id, b.step_name, b.step_key, b.kind, b.state, b.lane, b.route, b.priority,
    b.created_at, b.due_at, b.scheduled_for, b.fence, b.worker_id, b.lease_expires_at, b.limited, b.started_at,
    b.completed_at, b.retries, b.timeout, b.idempotency_key, b.queue, b.tags, b.retry_policy, b.args, b.kwargs, b.result,
    b.error, CASE WHEN NOT EXISTS (SELECT 1 FROM executions AS e WHERE e.id = b.execution_id) THEN true END
FROM unnest(
    $1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::bigint[],
    $10::bigint[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[], $14::bigint[], $15::text[],
    $16::timestamptz[], $17::boolean[], $18::timestamptz[], $19::timestamptz[], $20::bigint[], $21::bigint[],
    $22::text[], $23::text[], $24::text[], $25::text[], $26::bytea[], $27::bytea[], $28::bytea[], $29::bytea[],
    $30::timestamptz[]
) AS b (
    id, execution_id, parent_task_id, step_name, step_key, kind, state, lane, route, priority, created_at, due_at,
    scheduled_for, fence, worker_id, lease_expires_at, limited, started_at, completed_at, retries, timeout,
    idempotency_key, queue, tags, retry_policy, args, kwargs, result, error, lease
)
