INSERT INTO waits (task_id, arrivals)
SELECT t.parent_task_id, max(t.arrival)
FROM jsonb_each(?1) AS b
CROSS JOIN tasks AS t ON t.parent_task_id = substr(?2, b.value ->> 0, 16)
WHERE t.arrival IS NOT NULL
GROUP BY t.parent_task_id
