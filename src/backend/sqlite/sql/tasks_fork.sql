-- again: 1 the copy runs again, 0 the end is copied too
INSERT INTO tasks (
    id, execution_id, parent_task_id, step_name, step_key, kind, state, lane, route, priority, created_at, ops, effects,
    op, arrival, started_at, completed_at, retries, timeout, queue, tags, retry_policy, args, kwargs, result, error,
    cache_key, cache_ttl, opened, cleanup, concurrency_key, asked_priority, made_at, head_start,
    fairness_key, fairness_weight
)
SELECT
    b.new_id, ?3, b.new_parent, t.step_name, t.step_key, t.kind,
    CASE WHEN b.again THEN 'pending' ELSE t.state END,
    CASE WHEN b.again THEN t.route END,
    t.route, t.priority, ?4 + b.position - ifnull(t.head_start, 0),
    CASE WHEN b.again THEN t.ops ELSE 0 END,
    t.effects, t.op,
    CASE WHEN b.again THEN NULL ELSE t.arrival END,
    CASE WHEN b.again THEN NULL ELSE t.started_at END,
    CASE WHEN b.again THEN NULL ELSE t.completed_at END,
    CASE WHEN b.again THEN 0 ELSE t.retries END,
    t.timeout, t.queue, t.tags, t.retry_policy, t.args, t.kwargs,
    CASE WHEN b.again THEN NULL ELSE t.result END,
    CASE WHEN b.again THEN NULL ELSE t.error END,
    t.cache_key, t.cache_ttl, min(ifnull(t.opened, b.opened), ifnull(b.opened, t.opened)), t.cleanup,
    t.concurrency_key, t.asked_priority, CASE WHEN t.head_start IS NOT NULL THEN ?4 + b.position END,
    t.head_start, t.fairness_key, t.fairness_weight
FROM (
    SELECT
        key AS position,
        substr(?2, value ->> 0, 16) AS old_id,
        substr(?2, value ->> 1, 16) AS new_id,
        substr(?2, value ->> 2, 16) AS new_parent,
        value ->> 3 AS again,
        value ->> 4 AS opened
    FROM jsonb_each(?1)
) AS b
CROSS JOIN tasks AS t ON t.id = b.old_id
