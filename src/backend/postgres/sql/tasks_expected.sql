SELECT b.id
FROM unnest($1::uuid[]) AS b (id)
WHERE (SELECT t.parent_task_id FROM tasks AS t WHERE t.parent_task_id = b.id LIMIT 1) IS NOT NULL
