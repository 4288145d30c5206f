SELECT e.id AS execution_id
FROM tasks AS t
JOIN executions AS e ON e.id = t.execution_id AND e.root_task_id = t.id
WHERE t.id = $1
