SELECT b.id
FROM unnest($1::uuid[]) WITH ORDINALITY AS b (id, position)
LEFT JOIN executions AS e ON e.id = ANY (ARRAY[b.id])
WHERE e.id IS NULL OR e.state NOT IN ('pending', 'running')
ORDER BY b.position
