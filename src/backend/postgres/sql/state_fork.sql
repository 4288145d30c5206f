INSERT INTO execution_state (execution_id, key, value)
SELECT $2, key, value FROM execution_state WHERE execution_id = $1
