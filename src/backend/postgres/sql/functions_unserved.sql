-- one look into the index for each route that nobody serves: what is ready is never gone through
WITH unserved AS MATERIALIZED (
    SELECT r.id, r.function
    FROM routes AS r
    WHERE NOT EXISTS (SELECT 1 FROM functions AS f WHERE f.name = r.function)
)
SELECT DISTINCT u.function
FROM unserved AS u
CROSS JOIN LATERAL (
    SELECT 1
    FROM tasks AS t
    WHERE t.lane = u.id
        AND (t.stray IS NULL OR EXISTS (SELECT 1 FROM executions AS e WHERE e.id = t.execution_id))
    LIMIT 1
) AS ready
