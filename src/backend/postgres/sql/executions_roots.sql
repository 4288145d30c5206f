SELECT t.id
FROM unnest($1::uuid[]) AS b (id)
JOIN executions AS e ON e.id = b.id AND e.state = 'cancelling'
JOIN tasks AS t ON t.id = e.root_task_id
