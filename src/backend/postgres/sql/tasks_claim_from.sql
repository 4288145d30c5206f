-- First where each lane's living begin: the dead before them, which an old snapshot may keep from being removed, are not
-- looked at again. Then how much of each lane is among the best; then so much of it is locked, whatever others hold of it.
-- $11: whatever is there, in the order of the lanes. The answer is never empty: its first columns tell how many there were
-- to choose from, and the places, as of which snapshot.
-- What an attempt without a journal says is counted anew. A suspect begins when its worker has said so, unless no more
-- run there than may
WITH given AS MATERIALIZED (
    SELECT b.lane, b.seen, b.priority, b.since
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::timestamptz[]) AS b (lane, seen, priority, since)
),
-- what has become ready since the places were noted; coalesce: by tasks_readied, as only that has it
news AS (
    SELECT l.lane, r.priority, min(r.created_at) AS since
    FROM (SELECT DISTINCT g.lane, g.seen FROM given AS g WHERE g.seen IS NOT NULL) AS l
    CROSS JOIN LATERAL (
        SELECT t.priority, t.created_at
        FROM tasks AS t
        WHERE coalesce(t.lane, 0) = l.lane AND coalesce(t.lane, 0) <> 0 AND t.readied >= l.seen
        UNION ALL
        SELECT m.priority, m.created_at
        FROM unnest($5::bigint[]) AS x (id)
        CROSS JOIN LATERAL (
            SELECT t.priority, t.created_at
            FROM tasks AS t
            WHERE coalesce(t.lane, 0) = l.lane AND coalesce(t.lane, 0) <> 0 AND t.readied = x.id
            OFFSET 0
        ) AS m
    ) AS r
    GROUP BY l.lane, r.priority
),
-- where something is, and the first of it; below: of this priority and all lower ones
places AS MATERIALIZED (
    SELECT p.lane, f.priority, f.created_at AS since, p.below
    FROM (
        SELECT q.lane, q.priority, min(q.since) AS since, q.below
        FROM (
            SELECT g.lane, g.priority, g.since, g.since IS NULL AS below FROM given AS g WHERE g.priority IS NOT NULL
            UNION ALL
            SELECT n.lane, n.priority, n.since, false
            FROM news AS n
            WHERE NOT EXISTS (
                SELECT 1 FROM given AS g WHERE g.lane = n.lane AND g.since IS NULL AND g.priority >= n.priority
            )
        ) AS q
        GROUP BY q.lane, q.priority, q.below
    ) AS p
    CROSS JOIN LATERAL (
        SELECT a.priority, a.created_at
        FROM (
            SELECT t.priority, t.created_at
            FROM tasks AS t
            WHERE NOT p.below AND t.lane = p.lane AND t.priority = p.priority AND t.created_at >= p.since
            ORDER BY t.priority DESC, t.created_at, t.id
            LIMIT 1
        ) AS a
        UNION ALL
        SELECT b.priority, b.created_at
        FROM (
            SELECT t.priority, t.created_at
            FROM tasks AS t
            WHERE p.below AND t.lane = p.lane AND t.priority <= p.priority
            ORDER BY t.priority DESC, t.created_at, t.id
            LIMIT 1
        ) AS b
    ) AS f
),
spans AS MATERIALIZED (
    SELECT p.lane, p.priority, p.since, false AS below FROM places AS p
    UNION ALL
    SELECT p.lane, p.priority, p.since, true FROM places AS p WHERE p.below
),
best AS MATERIALIZED (
    SELECT c.lane, count(*) AS count
    FROM (
        SELECT l.lane
        FROM (SELECT p.lane FROM places AS p GROUP BY p.lane ORDER BY p.lane) AS l
        CROSS JOIN LATERAL (
            SELECT r.priority, r.created_at, r.id
            FROM (SELECT s.* FROM spans AS s WHERE s.lane = l.lane ORDER BY s.priority DESC, s.below) AS s
            CROSS JOIN LATERAL (
                SELECT a.priority, a.created_at, a.id
                FROM (
                    SELECT t.priority, t.created_at, t.id
                    FROM tasks AS t
                    WHERE NOT s.below AND t.lane = s.lane AND t.priority = s.priority AND t.created_at >= s.since
                    ORDER BY t.priority DESC, t.created_at, t.id
                    LIMIT $6::bigint
                ) AS a
                UNION ALL
                SELECT b.priority, b.created_at, b.id
                FROM (
                    SELECT t.priority, t.created_at, t.id
                    FROM tasks AS t
                    WHERE s.below AND t.lane = s.lane AND t.priority < s.priority
                    ORDER BY t.priority DESC, t.created_at, t.id
                    LIMIT $6::bigint
                ) AS b
            ) AS r
            LIMIT $6::bigint
        ) AS t
        WHERE NOT $11::boolean
        ORDER BY t.priority DESC, t.created_at, t.id
        LIMIT $6::bigint
    ) AS c
    GROUP BY c.lane
),
chosen AS MATERIALIZED (
    SELECT c.id
    FROM (SELECT p.lane FROM places AS p GROUP BY p.lane ORDER BY p.lane) AS l
    LEFT JOIN best ON best.lane = l.lane
    CROSS JOIN LATERAL (
        SELECT r.id
        FROM (SELECT s.* FROM spans AS s WHERE s.lane = l.lane ORDER BY s.priority DESC, s.below) AS s
        CROSS JOIN LATERAL (
            SELECT a.id
            FROM (
                SELECT t.id
                FROM tasks AS t
                WHERE NOT s.below AND t.lane = s.lane AND t.priority = s.priority AND t.created_at >= s.since
                    AND (
                        SELECT e.state
                        FROM executions AS e
                        WHERE e.id = t.execution_id AND (e.due_at IS NULL OR e.due_at > $8::timestamptz)
                    ) IN ('pending', 'running')
                ORDER BY t.priority DESC, t.created_at, t.id
                LIMIT $6::bigint
                FOR UPDATE OF t SKIP LOCKED
            ) AS a
            UNION ALL
            SELECT b.id
            FROM (
                SELECT t.id
                FROM tasks AS t
                WHERE s.below AND t.lane = s.lane AND t.priority < s.priority
                    AND (
                        SELECT e.state
                        FROM executions AS e
                        WHERE e.id = t.execution_id AND (e.due_at IS NULL OR e.due_at > $8::timestamptz)
                    ) IN ('pending', 'running')
                ORDER BY t.priority DESC, t.created_at, t.id
                LIMIT $6::bigint
                FOR UPDATE OF t SKIP LOCKED
            ) AS b
        ) AS r
        LIMIT CASE WHEN $11::boolean THEN $6::bigint ELSE coalesce(best.count, 0) END
    ) AS c
    LIMIT $6::bigint
),
claimed AS (
    UPDATE tasks
    SET state = 'running',
        worker_id = $7,
        fence = fence + 1,
        lane = NULL,
        readied = NULL,
        due_at = NULL,
        lease_expires_at = $9::timestamptz,
        limited = $10::boolean,
        aside = NULL,
        begun = CASE WHEN company IS NULL OR company >= $12::bigint THEN $12::bigint END,
        effects = CASE ops WHEN 0 THEN 0 ELSE effects END,
        started_at = coalesce(started_at, $8::timestamptz),
        opened_at = CASE
            WHEN root AND started_at IS NULL AND opened_at IS NULL
                AND (SELECT e.state FROM executions AS e WHERE e.id = tasks.execution_id) = 'pending' THEN $8::timestamptz
            ELSE opened_at
        END,
        deadline_at = coalesce(deadline_at, $8::timestamptz + timeout * interval '1 microsecond')
    WHERE id = ANY(ARRAY(SELECT chosen.id FROM chosen))
    RETURNING
        id, execution_id, step_name, kind, parent_task_id, state, args, kwargs, retries,
        coalesce(made_at, created_at) AS created_at, tags, coalesce(asked_priority, priority) AS priority, queue, retry_policy, result, error, started_at, completed_at, worker_id, lease_expires_at, idempotency_key,
        scheduled_for, fence, step_key, run, ops, effects, opened, heartbeat, crashes, deaths,
        coalesce(snoozes, 0) AS snoozes, coalesce(first_started_at, started_at) AS first_started_at,
        begun, company, deadline_at, cache_key, cache_ttl, cleanup, root,
        (SELECT e.traceparent FROM executions AS e WHERE e.id = tasks.execution_id) AS traceparent,
        priority AS line, created_at AS place
),
-- an execution runs from the first claim of its root on, which says so by itself, if the execution leads to it; whoever
-- locks one is about to end it
started AS (
    UPDATE executions
    SET state = 'running', started_at = $8
    WHERE id = ANY(
        ARRAY(
            SELECT e.id FROM executions AS e
            WHERE e.id = ANY(
                ARRAY(
                    SELECT c.execution_id FROM claimed AS c
                    WHERE c.kind = 'orchestrator' AND c.parent_task_id IS NULL AND c.started_at = $8 AND c.root IS NULL
                )
            )
                AND e.state = 'pending'
            FOR NO KEY UPDATE SKIP LOCKED
        )
    )
)
SELECT
    (SELECT sum(best.count)::bigint FROM best) AS best,
    txid_current_snapshot()::text AS snapshot,
    txid_current_if_assigned() AS own,
    (
        -- a microsecond early, whatever is lost in the arithmetic
        SELECT string_agg(
            concat_ws(' ', p.lane, p.priority, (extract(epoch FROM p.since) * 1000000)::bigint - 1, p.below), ','
            ORDER BY p.lane, p.priority DESC
        )
        FROM places AS p
    ) AS places,
    c.id, c.execution_id, c.step_name, c.kind, c.parent_task_id,
    c.state, c.args, c.kwargs, c.retries, c.created_at, c.tags, c.priority, c.queue, c.retry_policy, c.result, c.error,
    c.started_at, c.completed_at, c.worker_id, c.lease_expires_at, c.idempotency_key, c.scheduled_for, c.fence,
    c.step_key, c.run, c.ops, c.effects, c.opened, c.heartbeat, c.crashes, c.deaths, c.snoozes, c.first_started_at, c.begun, c.company, c.deadline_at, c.cache_key, c.cache_ttl, c.cleanup,
    c.traceparent, c.line, c.place
FROM (SELECT 1) AS always
LEFT JOIN claimed AS c ON true
