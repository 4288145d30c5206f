SELECT r.queue AS queue, r.function AS function, sum(ready.count) AS count, min(ready.oldest) AS oldest, ?1 AS now
FROM (
    SELECT lane AS id, count(*) AS count, min(created_at) AS oldest
    FROM tasks INDEXED BY tasks_ready
    WHERE lane > 0
    GROUP BY lane
    UNION ALL
    SELECT route, count(*), min(created_at)
    FROM tasks INDEXED BY tasks_ready
    WHERE lane < 0
    GROUP BY route
) AS ready
JOIN routes AS r ON r.id = ready.id
GROUP BY r.queue, r.function
ORDER BY r.queue, r.function
