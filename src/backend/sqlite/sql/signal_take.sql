UPDATE signals
SET consumed = 1, consumed_at = ?4, consumed_by = ?3
WHERE sequence = (
    SELECT s.sequence FROM signals AS s
    WHERE s.execution_id = ?1 AND s.name = ?2 AND s.consumed = 0
    ORDER BY s.sequence
    LIMIT 1
)
RETURNING payload
