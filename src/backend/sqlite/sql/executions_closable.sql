SELECT e.id
FROM executions AS e
WHERE e.state = 'cancelling'
    AND NOT EXISTS (
        SELECT 1 FROM tasks AS t INDEXED BY tasks_leased
        WHERE t.lease_until IS NOT NULL AND t.execution_id = e.id
    )
LIMIT ?1
