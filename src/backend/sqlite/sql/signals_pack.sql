SELECT sequence, execution_id, name, id, payload, created_at, consumed, consumed_at, consumed_by
FROM signals
WHERE execution_id = ?1
ORDER BY sequence
