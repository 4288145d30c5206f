UPDATE signals
SET consumed = true, consumed_at = $3
WHERE sequence = (
    SELECT min(s.sequence) FROM signals AS s WHERE s.execution_id = $1 AND s.name = $2 AND NOT s.consumed
)
