SELECT
    s.name, s.document, s.next_at, s.due_at, s.last_execution, s.waiting, s.paused_at, s.pause_note, s.trouble, s.created_at,
    s.updated_at
FROM schedules AS s
WHERE s.name = ANY(
    ARRAY(SELECT d.name FROM schedules AS d WHERE d.due_at <= $1 ORDER BY d.due_at LIMIT $2)
    || ARRAY(
        SELECT s.name
        FROM schedules AS s
        WHERE s.waiting > 0 AND s.trouble IS NULL AND NOT EXISTS (
            SELECT 1 FROM executions AS e
            WHERE e.id = s.last_execution AND e.state IN ('pending', 'running', 'cancelling')
        )
        LIMIT $2
    )
)
ORDER BY s.name
FOR UPDATE SKIP LOCKED
