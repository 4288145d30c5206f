SELECT t.id, t.parent_task_id
FROM jsonb_each(?1) AS b
JOIN tasks AS t ON t.joins = substr(?2, b.value ->> 0, 16)
ORDER BY t.created_at, t.id
