INSERT INTO signals (execution_id, name, id, payload, created_at)
SELECT $2, name, id, payload, created_at FROM signals WHERE execution_id = $1 AND NOT consumed ORDER BY sequence
