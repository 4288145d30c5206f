INSERT INTO unfinished_trees (task_id)
VALUES (?1)
ON CONFLICT (task_id) DO NOTHING
