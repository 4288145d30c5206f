SELECT e.id
FROM executions AS e
WHERE e.state = 'cancelling' AND e.ending IS NOT NULL
    AND (SELECT count(*) FROM tasks AS t WHERE t.lease_expires_at IS NOT NULL AND t.state = 'running' AND t.execution_id = e.id) = 0
LIMIT $1
