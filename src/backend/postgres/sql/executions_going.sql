SELECT id FROM executions WHERE id = ANY($1::uuid[]) AND state IN ('pending', 'running', 'cancelling')
