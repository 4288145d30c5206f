INSERT INTO waits (task_id, arrivals)
SELECT t.parent_task_id, max(t.arrival)
FROM tasks AS t
WHERE t.parent_task_id = ANY($1::uuid[]) AND t.arrival IS NOT NULL
GROUP BY t.parent_task_id
