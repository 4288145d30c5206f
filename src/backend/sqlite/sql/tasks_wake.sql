-- back to the worker that suspended it, for a while, if there are others; what is limited is claimed by its route alone,
-- where it is counted
UPDATE tasks
SET state = 'pending',
    lane = coalesce(own.lane, tasks.route),
    due_at = CASE WHEN own.lane IS NOT NULL THEN ?4 END
FROM (
    SELECT t.id AS id, -w.number AS lane
    FROM jsonb_each(?1) AS b
    CROSS JOIN tasks AS t ON t.id = substr(?2, b.value ->> 0, 16)
    LEFT JOIN workers AS w
        ON w.worker_id = t.worker_id AND ?6 AND t.step_name NOT IN (SELECT value FROM json_each(?5))
) AS own
WHERE tasks.id = own.id AND tasks.state = 'waiting' AND tasks.parked IS NULL AND tasks.joins IS NULL
