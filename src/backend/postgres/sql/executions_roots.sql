SELECT t.id
FROM unnest($1::uuid[]) AS b (execution_id)
JOIN executions AS e ON e.id = ANY (ARRAY[b.execution_id]) AND e.state = 'cancelling'
CROSS JOIN LATERAL (SELECT a.id FROM tasks AS a WHERE a.id = e.root_task_id OFFSET 0) AS t
