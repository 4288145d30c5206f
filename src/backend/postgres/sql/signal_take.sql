UPDATE signals
SET consumed = true, consumed_at = $4, consumed_by = $3
WHERE sequence = (
    SELECT s.sequence FROM signals AS s
    WHERE s.execution_id = $1 AND s.name = $2 AND NOT s.consumed
    ORDER BY s.sequence
    LIMIT 1
)
    AND EXISTS (SELECT 1 FROM tasks AS t WHERE t.id = $3 AND t.kind = 'signal' AND t.state = 'waiting')
RETURNING payload
