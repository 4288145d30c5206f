SELECT substr(?2, b.value ->> 0, 16) AS id
FROM jsonb_each(?1) AS b
WHERE EXISTS (SELECT 1 FROM tasks AS t WHERE t.parent_task_id = substr(?2, b.value ->> 0, 16))
