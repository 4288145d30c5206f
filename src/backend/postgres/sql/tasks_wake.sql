UPDATE tasks
SET state = 'pending',
    lane = coalesce(own.lane, tasks.route),
    due_at = CASE WHEN own.lane IS NOT NULL THEN $2::timestamptz END
FROM (
    SELECT
        t.id AS id,
        CASE WHEN f.max_concurrent IS NULL THEN -w.number END AS lane
    FROM unnest($1::uuid[]) AS b (id)
    JOIN tasks AS t ON t.id = b.id
    LEFT JOIN workers AS w ON w.worker_id = t.worker_id
    LEFT JOIN functions AS f ON f.name = t.step_name
) AS own
WHERE tasks.id = own.id
    AND tasks.state = 'waiting'
    AND tasks.stopped IS NULL
    AND tasks.parked IS NULL
    AND tasks.joins IS NULL
