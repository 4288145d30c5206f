-- what no worker takes is not ready: tasks whose execution is still to come
WITH strays AS MATERIALIZED (
    SELECT DISTINCT t.route
    FROM tasks AS t INDEXED BY tasks_strays
    WHERE t.stray IS NOT NULL AND t.lane IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM executions AS e WHERE e.id = t.execution_id)
)
SELECT r.queue AS queue, r.function AS function, sum(ready.count) AS count, min(ready.oldest) AS oldest, ?1 AS now
FROM (
    SELECT lane AS id, count(*) AS count, min(created_at) AS oldest
    FROM tasks INDEXED BY tasks_ready
    WHERE lane > 0 AND lane NOT IN (SELECT route FROM strays)
    GROUP BY lane
    UNION ALL
    SELECT t.lane, count(*), min(t.created_at)
    FROM strays AS s
    CROSS JOIN tasks AS t INDEXED BY tasks_ready ON t.lane = s.route
    WHERE t.stray IS NULL OR EXISTS (SELECT 1 FROM executions AS e WHERE e.id = t.execution_id)
    GROUP BY t.lane
    UNION ALL
    SELECT t.route, count(*), min(t.created_at)
    FROM tasks AS t INDEXED BY tasks_ready
    WHERE t.lane < 0
        AND (t.stray IS NULL OR EXISTS (SELECT 1 FROM executions AS e WHERE e.id = t.execution_id))
    GROUP BY t.route
) AS ready
JOIN routes AS r ON r.id = ready.id
GROUP BY r.queue, r.function
ORDER BY r.queue, r.function
