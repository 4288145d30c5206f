UPDATE signals
SET consumed = false, consumed_at = NULL, consumed_by = NULL
WHERE sequence = (
    SELECT s.sequence
    FROM tasks AS t
    JOIN signals AS s ON s.execution_id = t.execution_id AND s.name = t.step_name AND s.consumed
    WHERE t.id = $1 AND t.kind = 'signal' AND t.state = 'completed' AND s.consumed_by = t.id
)
RETURNING execution_id, name
