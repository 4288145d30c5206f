SELECT t.parent_task_id, t.op
FROM tasks AS t
WHERE t.parent_task_id = ?1 AND t.arrival > ?2
