-- from the second time on: what is before it was looked at
SELECT e.id, e.completed_at
FROM executions AS e
WHERE e.completed_at < ?1
    AND e.completed_at >= ifnull(?2, -9223372036854775808)
    AND e.state IN ('completed', 'failed', 'timed_out', 'cancelled')
    AND NOT EXISTS (SELECT 1 FROM dead_letters AS d WHERE d.execution_id = e.id)
ORDER BY e.completed_at, e.id
LIMIT ?3
