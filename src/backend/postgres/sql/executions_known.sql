SELECT b.id
FROM unnest($1::uuid[]) AS b (id)
WHERE EXISTS (SELECT 1 FROM executions AS e WHERE e.id = b.id)
    OR EXISTS (SELECT 1 FROM moves AS m WHERE m.execution_id = b.id)
