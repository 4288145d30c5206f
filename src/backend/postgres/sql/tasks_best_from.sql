-- as in tasks_claim_from.sql: first where each lane's living begin. Of each lane so many, of all of them together so many;
-- the answer is never empty
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
best AS (
    SELECT t.lane, t.priority, t.created_at, t.id, t.fresh
    FROM (SELECT p.lane FROM places AS p GROUP BY p.lane ORDER BY p.lane) AS l
    CROSS JOIN LATERAL (
        SELECT s.lane, r.priority, r.created_at, r.id, r.fresh
        FROM (SELECT s.* FROM spans AS s WHERE s.lane = l.lane ORDER BY s.priority DESC, s.below) AS s
        CROSS JOIN LATERAL (
            SELECT a.priority, a.created_at, a.id, a.fresh
            FROM (
                SELECT t.priority, t.created_at, t.id, t.started_at IS NULL AS fresh
                FROM tasks AS t
                WHERE NOT s.below AND t.lane = s.lane AND t.priority = s.priority AND t.created_at >= s.since
                    AND (
                        SELECT e.state
                        FROM executions AS e
                        WHERE e.id = t.execution_id AND (e.due_at IS NULL OR e.due_at > $8::timestamptz)
                    ) IN ('pending', 'running')
                ORDER BY t.priority DESC, t.created_at, t.id
                LIMIT $6::bigint
            ) AS a
            UNION ALL
            SELECT b.priority, b.created_at, b.id, b.fresh
            FROM (
                SELECT t.priority, t.created_at, t.id, t.started_at IS NULL AS fresh
                FROM tasks AS t
                WHERE s.below AND t.lane = s.lane AND t.priority < s.priority
                    AND (
                        SELECT e.state
                        FROM executions AS e
                        WHERE e.id = t.execution_id AND (e.due_at IS NULL OR e.due_at > $8::timestamptz)
                    ) IN ('pending', 'running')
                ORDER BY t.priority DESC, t.created_at, t.id
                LIMIT $6::bigint
            ) AS b
        ) AS r
        LIMIT $6::bigint
    ) AS t
    ORDER BY t.priority DESC, t.created_at, t.id
    LIMIT $7::bigint
)
SELECT
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
    b.lane, b.priority, b.created_at, b.id, b.fresh
FROM (SELECT 1) AS always
LEFT JOIN best AS b ON true
