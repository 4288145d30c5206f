SELECT key, value FROM execution_state WHERE execution_id = $1 ORDER BY key
