SELECT EXISTS (
    SELECT 1
    FROM tasks AS t INDEXED BY tasks_ready
    WHERE t.lane = ?1
        AND (t.stray IS NULL OR EXISTS (SELECT 1 FROM executions AS e WHERE e.id = t.execution_id))
) AS found
