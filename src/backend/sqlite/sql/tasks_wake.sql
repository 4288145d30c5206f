-- back to the worker that suspended it, for a while, if there are others; what is limited is claimed by its route alone,
-- where it is counted; and what is paused, where nobody looks
UPDATE tasks
SET state = 'pending',
    lane = coalesce(
        CASE WHEN ?5 AND step_name NOT IN (SELECT value FROM json_each(?4))
            AND route NOT IN (SELECT value FROM json_each(?6)) THEN
            (SELECT -w.number FROM workers AS w WHERE w.worker_id = tasks.worker_id)
        END,
        route
    ),
    due_at = CASE
        WHEN ?5 AND step_name NOT IN (SELECT value FROM json_each(?4))
            AND route NOT IN (SELECT value FROM json_each(?6))
            AND EXISTS (SELECT 1 FROM workers AS w WHERE w.worker_id = tasks.worker_id) THEN ?3
    END
WHERE id = ?1 AND state = 'waiting' AND parked IS NULL AND joins IS NULL
