DELETE FROM unfinished_trees
WHERE task_id = ANY(ARRAY(SELECT u.task_id FROM unfinished_trees AS u LIMIT 100))
RETURNING task_id, (
    SELECT e.state FROM tasks AS t JOIN executions AS e ON e.id = t.execution_id WHERE t.id = unfinished_trees.task_id
) AS state
