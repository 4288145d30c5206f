-- how long until something is due, and whether anything has become ready in these lanes, in which nothing was, as of these
-- snapshots; what is due at infinity never is. Nothing is due before these times, as far as is known, nor before the new
-- ones: what is written is due later than it is written, and written soon
SELECT
    CASE
        WHEN isfinite(due.at) THEN (extract(epoch FROM due.at - now()) * 1000000)::bigint
        WHEN due.at < now() THEN -1::bigint
    END AS wait,
    EXISTS (SELECT 1 FROM executions AS e WHERE e.state = 'cancelling' AND e.ending IS NOT NULL)
        OR EXISTS (SELECT 1 FROM unfinished_trees)
        OR EXISTS (SELECT 1 FROM requests)
        OR EXISTS (SELECT 1 FROM tasks AS t WHERE t.parked IS NOT NULL)
        OR EXISTS (
            SELECT 1
            FROM schedules AS s
            WHERE s.waiting > 0 AND s.trouble IS NULL AND NOT EXISTS (
                SELECT 1 FROM executions AS e
                WHERE e.id = s.last_execution AND e.state IN ('pending', 'running', 'cancelling')
            )
        ) AS other,
    EXISTS (
        SELECT 1 FROM unnest($1::bigint[], $2::bigint[]) AS l (lane, seen)
        WHERE (
                SELECT t.lane
                FROM tasks AS t
                -- as in tasks_claim_from.sql: by tasks_readied
                WHERE coalesce(t.lane, 0) = l.lane AND coalesce(t.lane, 0) <> 0 AND t.readied >= l.seen
                LIMIT 1
            ) IS NOT NULL
            OR EXISTS (
                SELECT 1
                FROM unnest($3::bigint[]) AS x (id)
                WHERE (
                        SELECT t.lane
                        FROM tasks AS t
                        WHERE coalesce(t.lane, 0) = l.lane AND coalesce(t.lane, 0) <> 0 AND t.readied = x.id
                        LIMIT 1
                    ) IS NOT NULL
            )
    ) AS ready,
    (SELECT c.version FROM catalog AS c) AS version,
    nullif(least(due.task, now() - interval '2 seconds'), '-infinity') AS due_since,
    nullif(least(due.lease, now() - interval '2 seconds'), '-infinity') AS lease_since,
    nullif(least(due.execution, now() - interval '2 seconds'), '-infinity') AS expiry_since
FROM (
    SELECT
        least(of.task, of.execution, of.cleanup, of.lease, of.schedule, of.rate) AS at, of.task, of.execution, of.lease
    FROM (
        SELECT
            (
                SELECT t.due_at FROM tasks AS t
                WHERE t.due_at >= coalesce($4::timestamptz, '-infinity')
                ORDER BY t.due_at
                LIMIT 1
            ) AS task,
            (
                SELECT t.lease_expires_at FROM tasks AS t
                WHERE t.lease_expires_at >= coalesce($5::timestamptz, '-infinity') AND t.state = 'running'
                ORDER BY t.lease_expires_at
                LIMIT 1
            ) AS lease,
            (
                SELECT e.due_at FROM executions AS e
                WHERE e.due_at >= coalesce($6::timestamptz, '-infinity')
                ORDER BY e.due_at
                LIMIT 1
            ) AS execution,
            (
                SELECT e.cleanup_due FROM executions AS e
                WHERE e.cleanup_due IS NOT NULL AND e.state = 'running'
                ORDER BY e.cleanup_due
                LIMIT 1
            ) AS cleanup,
            (SELECT min(s.due_at) FROM schedules AS s WHERE s.due_at IS NOT NULL) AS schedule,
            least(
                (SELECT min(r.due_at) FROM rates AS r),
                (SELECT min(k.due_at) FROM key_rates AS k WHERE k.due_at IS NOT NULL),
                (SELECT min(b.due_at) FROM key_starts AS b),
                (SELECT min(h.ends_at) FROM holds AS h)
            ) AS rate
        OFFSET 0
    ) AS of
    OFFSET 0
) AS due
