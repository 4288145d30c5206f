SELECT
    p.kind, p.name, p.since, p.reason, p.author,
    (
        SELECT count(*)
        FROM tasks AS t
        WHERE t.lease_expires_at IS NOT NULL AND t.state = 'running'
            AND CASE p.kind WHEN 'queue' THEN t.queue ELSE t.step_name END = p.name
    ) AS running
FROM pauses AS p
ORDER BY p.kind DESC, p.name
