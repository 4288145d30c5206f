-- the roots only: what running tasks write is refused by the state of their execution
SELECT t.id, t.state, t.parent_task_id
FROM jsonb_each(?1) AS b
JOIN executions AS e ON e.id = substr(?2, b.value ->> 0, 16)
JOIN tasks AS t ON t.id = e.root_task_id
WHERE e.state = 'cancelling' AND t.state IN ('pending', 'running', 'waiting')
