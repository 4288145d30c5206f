-- what no worker takes is not ready: tasks whose execution is still to come
WITH strays AS MATERIALIZED (
    SELECT DISTINCT t.route
    FROM tasks AS t
    WHERE t.stray IS NOT NULL AND t.lane IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM executions AS e WHERE e.id = t.execution_id)
)
SELECT
    r.queue AS queue, r.function AS function, sum(ready.count)::bigint AS count, min(ready.oldest) AS oldest,
    now() AS now
FROM (
    SELECT lane AS id, count(*) AS count, min(created_at) AS oldest
    FROM tasks
    WHERE lane > 0 AND lane <> ALL(ARRAY(SELECT route FROM strays))
    GROUP BY lane
    UNION ALL
    SELECT t.lane, count(*), min(t.created_at)
    FROM tasks AS t
    WHERE t.lane = ANY(ARRAY(SELECT route FROM strays))
        AND (t.stray IS NULL OR EXISTS (SELECT 1 FROM executions AS e WHERE e.id = t.execution_id))
    GROUP BY t.lane
    UNION ALL
    SELECT t.route, count(*), min(t.created_at)
    FROM tasks AS t
    WHERE t.lane < 0
        AND (t.stray IS NULL OR EXISTS (SELECT 1 FROM executions AS e WHERE e.id = t.execution_id))
    GROUP BY t.route
) AS ready
JOIN routes AS r ON r.id = ready.id
GROUP BY r.queue, r.function
ORDER BY r.queue, r.function
