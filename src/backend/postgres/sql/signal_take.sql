UPDATE signals
SET consumed = true, consumed_at = $4, consumed_by = $3
WHERE sequence = (
    SELECT s.sequence FROM signals AS s
    WHERE s.execution_id = $1 AND s.name = $2 AND NOT s.consumed
    ORDER BY s.consumed, s.sequence
    LIMIT 1
)
    AND (SELECT t.kind || ' ' || t.state FROM tasks AS t WHERE t.id = $3) = 'signal waiting'
RETURNING payload
