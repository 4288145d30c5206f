-- how long until something is due, and whether anything is ready in these lanes, which are of one version of the
-- catalog; what is due at infinity never is
SELECT
    CASE
        WHEN isfinite(due.at) THEN (extract(epoch FROM due.at - now()) * 1000000)::bigint
        WHEN due.at < now() THEN -1::bigint
    END AS wait,
    EXISTS (SELECT 1 FROM executions AS e WHERE e.state = 'cancelling' AND e.ending IS NOT NULL)
        OR EXISTS (SELECT 1 FROM unfinished_trees)
        OR EXISTS (SELECT 1 FROM tasks AS t WHERE t.parked IS NOT NULL) AS other,
    EXISTS (
        SELECT 1 FROM unnest($1::bigint[]) AS l (lane)
        WHERE (SELECT t.lane FROM tasks AS t WHERE t.lane = l.lane LIMIT 1) IS NOT NULL
    ) AS ready,
    (SELECT c.version FROM catalog AS c) AS version
FROM (
    SELECT
        least(
            (SELECT min(t.due_at) FROM tasks AS t WHERE t.due_at IS NOT NULL),
            (SELECT min(e.due_at) FROM executions AS e WHERE e.due_at IS NOT NULL),
            (SELECT min(e.cleanup_due) FROM executions AS e WHERE e.cleanup_due IS NOT NULL AND e.state = 'running'),
            (SELECT min(t.lease_expires_at) FROM tasks AS t WHERE t.lease_expires_at IS NOT NULL AND t.state = 'running')
        ) AS at
    OFFSET 0
) AS due
