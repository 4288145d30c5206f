SELECT sequence, execution_id, name, id, payload, created_at, consumed, consumed_at
FROM signals
WHERE execution_id = ?1
ORDER BY sequence
LIMIT ?2
