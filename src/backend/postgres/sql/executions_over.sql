SELECT e.id, e.state FROM executions AS e WHERE e.id = ANY($1::uuid[]) AND e.state NOT IN ('pending', 'running')
