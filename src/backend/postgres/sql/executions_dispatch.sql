-- all of them, or none if the catalog has another version or one of them has moved; an id that exists is an error. The rows keep their order.
-- An id that others know may be leaving: who goes on here, when that is committed, has not seen where it went
WITH given AS MATERIALIZED (
    SELECT b.*, now() + b.position * interval '2 microseconds' AS created_at
    FROM unnest(
        $1::uuid[], $2::text[], $3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bytea[],
        $10::bytea[], $11::bigint[], $12::bigint[], $13::text[], $14::bigint[], $15::text[], $16::text[],
        $17::bigint[], $18::text[], $19::double precision[]
    ) WITH ORDINALITY AS b (
        id, root_function, root_task_id, priority, on_cancel, traceparent, queue, tags, args, kwargs, route, timeout,
        cache_key, cache_ttl, retry_policy, concurrency_key, head_start, fairness_key, fairness_weight, position
    )
    WHERE (SELECT c.version FROM catalog AS c) = $20
        AND NOT EXISTS (SELECT 1 FROM moves AS m WHERE m.execution_id = ANY($1::uuid[]) AND m.place <> 'here')
        AND NOT EXISTS (SELECT 1 FROM executions AS e WHERE e.id = ANY($21::text[]::uuid[]))
),
roots AS (
    INSERT INTO tasks (
        id, execution_id, root, step_name, kind, state, lane, route, priority, created_at, timeout, cache_key, cache_ttl,
        queue, tags, retry_policy, args, kwargs, concurrency_key, asked_priority, made_at, head_start, fairness_key,
        fairness_weight
    )
    SELECT
        g.root_task_id, g.id, true, g.root_function, 'orchestrator', 'pending', g.route, g.route,
        CASE WHEN g.head_start IS NULL THEN g.priority ELSE 0 END,
        g.created_at + (1 - coalesce(g.head_start, 0)) * interval '1 microsecond', g.timeout, g.cache_key, g.cache_ttl, g.queue, g.tags, g.retry_policy,
        g.args, g.kwargs, g.concurrency_key, CASE WHEN g.head_start IS NOT NULL THEN g.priority END,
        CASE WHEN g.head_start IS NOT NULL THEN g.created_at + interval '1 microsecond' END, g.head_start,
        g.fairness_key, g.fairness_weight
    FROM given AS g
),
dispatched AS (
    INSERT INTO executions (
        id, root_function, root_task_id, state, priority, created_at, on_cancel, traceparent, queue, tags, args, kwargs
    )
    SELECT
        g.id, g.root_function, g.root_task_id, 'pending', g.priority, g.created_at, g.on_cancel, g.traceparent, g.queue,
        g.tags::jsonb, g.args, g.kwargs
    FROM given AS g
    RETURNING id
)
SELECT count(*) AS count FROM dispatched
