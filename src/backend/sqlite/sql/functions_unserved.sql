SELECT DISTINCT routes.function
FROM routes
WHERE NOT EXISTS (SELECT 1 FROM functions AS f WHERE f.name = routes.function)
    AND EXISTS (
        SELECT 1
        FROM tasks AS t INDEXED BY tasks_ready
        WHERE t.lane = routes.id
            AND (t.stray IS NULL OR EXISTS (SELECT 1 FROM executions AS e WHERE e.id = t.execution_id))
    )
