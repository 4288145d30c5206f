SELECT t.parent_task_id, t.op
FROM jsonb_each(?1) AS b
CROSS JOIN tasks AS t ON t.parent_task_id = substr(?2, b.value ->> 0, 16) AND t.arrival > b.value ->> 1
