SELECT substr(?2, b.value ->> 0, 16) AS id
FROM jsonb_each(?1) AS b
LEFT JOIN executions AS e ON e.id = substr(?2, b.value ->> 0, 16)
WHERE e.id IS NULL OR e.state NOT IN ('pending', 'running')
ORDER BY b.key
