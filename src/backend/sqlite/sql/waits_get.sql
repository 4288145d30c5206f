SELECT w.task_id, w.arrivals, w.mode, w.ops, w.missing
FROM jsonb_each(?1) AS b
JOIN waits AS w ON w.task_id = substr(?2, b.value ->> 0, 16)
