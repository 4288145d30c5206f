SELECT count(*) AS count
FROM (
    SELECT 1
    FROM executions AS e
    WHERE e.completed_at < ?1
        AND e.state IN ('completed', 'failed', 'timed_out', 'cancelled')
        AND NOT EXISTS (SELECT 1 FROM dead_letters AS d WHERE d.execution_id = e.id)
    LIMIT ?2
) AS o
