INSERT INTO tasks (
    id, execution_id, root, parent_task_id, step_name, step_key, kind, state, lane, route, priority, created_at, ops, effects,
    op, arrival, started_at, completed_at, retries, timeout, queue, tags, retry_policy, args, kwargs, result, error,
    cache_key, cache_ttl, opened, cleanup, concurrency_key, asked_priority, made_at, head_start,
    fairness_key, fairness_weight
)
SELECT
    b.new_id, $6, CASE WHEN b.new_parent IS NULL THEN true END, b.new_parent, t.step_name, t.step_key, t.kind,
    CASE WHEN b.again THEN 'pending' ELSE t.state END,
    CASE WHEN b.again THEN t.route END,
    t.route, t.priority, $7::timestamptz + b.position * interval '1 microsecond' - coalesce(t.head_start, 0) * interval '1 microsecond',
    CASE WHEN b.again THEN t.ops ELSE 0 END,
    t.effects, t.op,
    CASE WHEN b.again THEN NULL ELSE t.arrival END,
    CASE WHEN b.again THEN NULL ELSE t.started_at END,
    CASE WHEN b.again THEN NULL ELSE t.completed_at END,
    CASE WHEN b.again THEN 0 ELSE t.retries END,
    t.timeout, t.queue, t.tags, t.retry_policy, t.args, t.kwargs,
    CASE WHEN b.again THEN NULL ELSE t.result END,
    CASE WHEN b.again THEN NULL ELSE t.error END,
    t.cache_key, t.cache_ttl, least(t.opened, b.opened), t.cleanup,
    t.concurrency_key, t.asked_priority, CASE WHEN t.head_start IS NOT NULL THEN $7::timestamptz + b.position * interval '1 microsecond' END,
    t.head_start, t.fairness_key, t.fairness_weight
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::boolean[], $5::bigint[])
    WITH ORDINALITY AS b (old_id, new_id, new_parent, again, opened, position)
JOIN tasks AS t ON t.id = b.old_id
