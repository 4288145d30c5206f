SELECT id
FROM executions
WHERE completed_at < $1 AND state IN ('completed', 'failed', 'timed_out', 'cancelled')
ORDER BY completed_at, id
LIMIT $2
FOR UPDATE SKIP LOCKED
