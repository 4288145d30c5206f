INSERT INTO unfinished_trees (task_id) SELECT b.id FROM unnest($1::uuid[]) AS b (id)
ON CONFLICT (task_id) DO NOTHING
