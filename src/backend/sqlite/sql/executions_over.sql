SELECT e.id, e.state
FROM jsonb_each(?1) AS b
CROSS JOIN executions AS e ON e.id = substr(?2, b.value ->> 0, 16)
WHERE e.state NOT IN ('pending', 'running')
