SELECT
    s.name, s.document, s.next_at, s.due_at, s.last_execution, s.waiting, s.paused_at, s.pause_note, s.trouble, s.created_at,
    s.updated_at
FROM (
    SELECT name FROM (SELECT name FROM schedules WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2)
    UNION
    SELECT name
    FROM schedules AS s
    WHERE s.waiting > 0 AND s.trouble IS NULL AND NOT EXISTS (
        SELECT 1 FROM executions AS e
        WHERE e.id = s.last_execution AND e.state IN ('pending', 'running', 'cancelling')
    )
    LIMIT ?2
) AS due
CROSS JOIN schedules AS s ON s.name = due.name
