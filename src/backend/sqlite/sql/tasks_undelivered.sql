SELECT t.id, t.parent_task_id
FROM jsonb_each(?1) AS b
CROSS JOIN tasks AS t ON t.parent_task_id = substr(?2, b.value ->> 0, 16) AND t.arrival = 0
WHERE t.op IS NOT NULL
ORDER BY t.parent_task_id, t.op
