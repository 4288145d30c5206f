DELETE FROM unfinished_trees
WHERE task_id IN (SELECT u.task_id FROM unfinished_trees AS u LIMIT 100)
RETURNING task_id
