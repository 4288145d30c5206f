SELECT sequence, execution_id, name, id, payload, created_at, consumed, consumed_at
FROM signals
WHERE sequence = coalesce(
    (SELECT min(s.sequence) FROM signals AS s WHERE s.execution_id = $1 AND s.name = $2 AND NOT s.consumed),
    (SELECT max(s.sequence) FROM signals AS s WHERE s.execution_id = $1 AND s.name = $2 AND s.consumed)
)
