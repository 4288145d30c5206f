SELECT w.task_id, w.arrivals, w.mode, w.ops, w.missing
FROM waits AS w
WHERE w.task_id = ?1
