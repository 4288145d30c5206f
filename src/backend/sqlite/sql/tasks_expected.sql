SELECT ?1 AS id WHERE EXISTS (SELECT 1 FROM tasks AS t WHERE t.parent_task_id = ?1)
