INSERT INTO unfinished_trees (task_id)
SELECT substr(?2, value ->> 0, 16) FROM jsonb_each(?1)
WHERE true
ON CONFLICT (task_id) DO NOTHING
