SELECT w.task_id, w.arrivals, w.mode, w.ops, w.missing
FROM waits AS w
WHERE w.task_id = ANY($1::uuid[])
ORDER BY w.task_id
FOR UPDATE OF w NOWAIT
