SELECT ?1 AS id
WHERE EXISTS (SELECT 1 FROM executions AS e WHERE e.id = ?1)
    OR EXISTS (SELECT 1 FROM moves AS m WHERE m.execution_id = ?1)
