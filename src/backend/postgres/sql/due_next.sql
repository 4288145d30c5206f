-- what time brings next, and whether there is anything in these lanes, by which version of the catalog
SELECT
    now() AS now,
    (SELECT min(t.due_at) FROM tasks AS t WHERE t.due_at IS NOT NULL) AS due_at,
    (
        SELECT min(e.expiry_at) FROM executions AS e
        WHERE e.expiry_at IS NOT NULL AND e.ending IS NULL AND e.completed_at IS NULL
    ) AS expiry_at,
    (SELECT min(t.lease_expires_at) FROM tasks AS t WHERE t.lease_expires_at IS NOT NULL) AS lease_expires_at,
    EXISTS (SELECT 1 FROM executions AS e WHERE e.state = 'cancelling' AND e.ending IS NOT NULL AND e.completed_at IS NULL)
        OR EXISTS (SELECT 1 FROM unfinished_trees)
        OR EXISTS (SELECT 1 FROM tasks AS t WHERE t.parked IS NOT NULL) AS other,
    EXISTS (
        SELECT 1 FROM unnest($1::bigint[]) AS l (lane)
        WHERE (SELECT t.lane FROM tasks AS t WHERE t.lane = l.lane LIMIT 1) IS NOT NULL
    ) AS ready,
    (SELECT c.version FROM catalog AS c) AS version
