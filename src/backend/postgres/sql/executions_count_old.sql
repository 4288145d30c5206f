-- those that ended before they were created are found by an index of their own: see executions_list_old
SELECT count(*) AS count
FROM (
    SELECT 1
    FROM executions AS e
    WHERE e.created_at < $1
        AND e.completed_at < $1
        AND e.ended_before IS NULL
        AND e.state IN ('completed', 'failed', 'timed_out', 'cancelled')
        AND NOT EXISTS (SELECT 1 FROM dead_letters AS d WHERE d.execution_id = e.id)
    UNION ALL
    SELECT 1
    FROM executions AS e
    WHERE e.ended_before < $1
        AND e.state IN ('completed', 'failed', 'timed_out', 'cancelled')
        AND NOT EXISTS (SELECT 1 FROM dead_letters AS d WHERE d.execution_id = e.id)
    LIMIT $2
) AS o
