SELECT
    t.id, t.execution_id, t.step_name, t.kind, t.parent_task_id, t.state, t.args, t.kwargs, t.retries,
    coalesce(t.made_at, t.created_at) AS created_at, t.tags, coalesce(t.asked_priority, t.priority) AS priority, t.queue, t.retry_policy, t.result, t.error, t.started_at, t.completed_at, t.worker_id,
    t.lease_expires_at, t.idempotency_key, t.scheduled_for, t.fence, t.step_key, t.lane IS NOT NULL OR coalesce(t.slot, 1) IN (0, 2) AS claimable,
    t.due_at, t.deadline_at, t.timeout, t.run, t.ops, t.effects, t.op, t.arrival, t.opened, t.crashes, t.deaths,
    coalesce(t.snoozes, 0) AS snoozes, t.first_started_at, t.company, t.cleanup, t.parked, t.parked_version, t.joins, t.cache_key, t.cache_ttl, t.cache_hit, t.heartbeat,
    EXISTS (SELECT 1 FROM tasks AS j WHERE j.joins = t.id AND j.execution_id <> t.execution_id) AS joined,
    EXISTS (SELECT 1 FROM unfinished_trees AS u WHERE u.task_id = t.id) AS unfinished, w.arrivals, w.mode,
    w.ops AS awaited, w.missing, i.args_hash AS key_hash, i.expires_at AS key_expires_at, t.concurrency_key,
    t.head_start, t.fairness_key, t.fairness_weight
FROM (
    SELECT a.id FROM tasks AS a WHERE a.execution_id = $1 AND a.root IS NULL
    UNION ALL
    SELECT a.id FROM tasks AS a WHERE a.id = (SELECT e.root_task_id FROM executions AS e WHERE e.id = $1) AND a.root
) AS own
JOIN tasks AS t ON t.id = own.id
LEFT JOIN waits AS w ON w.task_id = t.id
LEFT JOIN idempotency AS i ON i.key = t.step_name || '/' || t.idempotency_key AND i.owner = t.id
ORDER BY coalesce(t.made_at, t.created_at), t.id
