-- executions that ended before the second time were looked at by an earlier batch
SELECT e.id, e.completed_at
FROM executions AS e
WHERE e.completed_at < ?1
    AND e.completed_at >= ifnull(?2, -9223372036854775808)
    AND e.state IN ('completed', 'failed', 'timed_out', 'cancelled')
    AND NOT EXISTS (SELECT 1 FROM dead_letters AS d WHERE d.execution_id = e.id)
    AND NOT EXISTS (SELECT 1 FROM unique_keys AS u WHERE u.execution_id = e.id AND u.window_ends_at > ?4)
ORDER BY e.completed_at, e.id
LIMIT ?3
