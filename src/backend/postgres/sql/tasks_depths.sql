SELECT
    r.queue AS queue, r.function AS function, sum(ready.count)::bigint AS count, min(ready.oldest) AS oldest,
    now() AS now
FROM (
    SELECT lane AS id, count(*) AS count, min(created_at) AS oldest
    FROM tasks
    WHERE lane > 0
    GROUP BY lane
    UNION ALL
    SELECT route, count(*), min(created_at)
    FROM tasks
    WHERE lane < 0
    GROUP BY route
) AS ready
JOIN routes AS r ON r.id = ready.id
GROUP BY r.queue, r.function
ORDER BY r.queue, r.function
