UPDATE tasks
SET state = 'pending',
    lane = coalesce(own.lane, tasks.route),
    due_at = CASE WHEN own.lane IS NOT NULL THEN ?3 END
FROM (
    SELECT
        t.id AS id,
        CASE WHEN f.max_concurrent IS NULL THEN -w.number END AS lane
    FROM jsonb_each(?1) AS b
    CROSS JOIN tasks AS t ON t.id = substr(?2, b.value ->> 0, 16)
    LEFT JOIN workers AS w ON w.worker_id = t.worker_id
    LEFT JOIN functions AS f ON f.name = t.step_name
) AS own
WHERE tasks.id = own.id AND tasks.state = 'waiting' AND tasks.parked IS NULL AND tasks.joins IS NULL
