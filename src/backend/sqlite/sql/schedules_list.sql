SELECT
    s.name, s.document, s.next_at, s.due_at, s.last_execution, s.waiting, s.paused_at, s.pause_note, s.trouble, s.created_at,
    s.updated_at,
    coalesce(
        (SELECT e.state IN ('pending', 'running', 'cancelling') FROM executions AS e WHERE e.id = s.last_execution), 0
    ) AS running
FROM schedules AS s
WHERE (?1 IS NULL OR s.name = ?1) AND (?2 IS NULL OR s.owner = ?2) AND (?3 IS NULL OR s.function = ?3)
    AND (?4 IS NULL OR s.name > ?4)
ORDER BY s.name
LIMIT ?5
