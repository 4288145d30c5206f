DELETE FROM unique_earlier
WHERE key = $1
    AND NOT EXISTS (
        SELECT 1 FROM executions AS e
        WHERE e.id = unique_earlier.execution_id AND e.state IN ('pending', 'running', 'cancelling')
    )
