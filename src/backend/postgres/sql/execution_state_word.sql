SELECT state FROM executions WHERE id = $1
