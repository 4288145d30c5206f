SELECT t.id
FROM jsonb_each(?1) AS b
JOIN executions AS e ON e.id = substr(?2, b.value ->> 0, 16)
JOIN tasks AS t ON t.id = e.root_task_id
WHERE e.state = 'cancelling'
