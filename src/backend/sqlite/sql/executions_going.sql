SELECT id FROM executions WHERE id = ?1 AND state IN ('pending', 'running', 'cancelling')
