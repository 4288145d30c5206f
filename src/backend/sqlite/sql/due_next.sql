-- not needed: seen, running, due_since, lease_since, expiry_since
-- how long until something is due: a date of the wall clock, a duration by the time since boot, or a lease of this boot;
-- a lease of another boot has ended
SELECT
    (
        SELECT CAST(min(due.wait) AS INTEGER)
        FROM (
            SELECT (SELECT min(t.due_at) FROM tasks AS t WHERE t.due_at < 4611686018427387904) - ?2 AS wait
            UNION ALL
            SELECT (SELECT min(t.due_at) FROM tasks AS t WHERE t.due_at >= 4611686018427387904)
                - 4611686018427387904 - ?4
            UNION ALL
            SELECT (
                SELECT min(e.expiry_due) FROM executions AS e
                WHERE e.expiry_due < 4611686018427387904 AND e.ending IS NULL AND e.completed_at IS NULL
            ) - ?2
            UNION ALL
            SELECT (
                SELECT min(e.expiry_due) FROM executions AS e
                WHERE e.expiry_due >= 4611686018427387904 AND e.ending IS NULL AND e.completed_at IS NULL
            ) - 4611686018427387904 - ?4
            UNION ALL
            SELECT (
                SELECT min(e.cleanup_due) FROM executions AS e
                WHERE e.cleanup_due < 4611686018427387904 AND e.state = 'running'
            ) - ?2
            UNION ALL
            SELECT (
                SELECT min(e.cleanup_due) FROM executions AS e
                WHERE e.cleanup_due >= 4611686018427387904 AND e.state = 'running'
            ) - 4611686018427387904 - ?4
            UNION ALL
            SELECT (
                SELECT min(t.lease_until) FROM tasks AS t WHERE t.lease_until IS NOT NULL AND t.lease_boot = ?3
            ) - ?4
            UNION ALL
            SELECT (SELECT min(s.due_at) FROM schedules AS s WHERE s.due_at IS NOT NULL) - ?2
            UNION ALL
            SELECT (SELECT min(r.due_at) FROM rates AS r) - ?2
            UNION ALL
            SELECT (SELECT min(k.due_at) FROM key_rates AS k WHERE k.due_at IS NOT NULL) - ?2
            UNION ALL
            SELECT (SELECT min(h.ends_at) FROM holds AS h) - ?2
        ) AS due
    ) AS wait,
    EXISTS (SELECT 1 FROM executions AS e WHERE e.state = 'cancelling')
        OR EXISTS (SELECT 1 FROM unfinished_trees)
        OR EXISTS (SELECT 1 FROM tasks AS t WHERE t.parked IS NOT NULL)
        OR EXISTS (SELECT 1 FROM tasks AS t WHERE t.lease_until IS NOT NULL AND t.lease_boot < ?3)
        OR EXISTS (SELECT 1 FROM tasks AS t WHERE t.lease_until IS NOT NULL AND t.lease_boot > ?3)
        OR EXISTS (
            SELECT 1
            FROM schedules AS s
            WHERE s.waiting > 0 AND s.trouble IS NULL AND NOT EXISTS (
                SELECT 1 FROM executions AS e
                WHERE e.id = s.last_execution AND e.state IN ('pending', 'running', 'cancelling')
            )
        ) AS other,
    EXISTS (SELECT 1 FROM json_each(?1) AS l CROSS JOIN tasks AS t ON t.lane = l.value) AS ready,
    (SELECT version FROM catalog) AS version,
    NULL AS due_since,
    NULL AS lease_since,
    NULL AS expiry_since
