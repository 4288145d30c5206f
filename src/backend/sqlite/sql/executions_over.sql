SELECT e.id, e.state
FROM executions AS e
WHERE e.id = ?1 AND e.state NOT IN ('pending', 'running')
