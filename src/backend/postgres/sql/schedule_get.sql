SELECT
    s.name, s.document, s.next_at, s.due_at, s.last_execution, s.waiting, s.paused_at, s.pause_note, s.trouble, s.created_at,
    s.updated_at
FROM schedules AS s
WHERE s.name = $1
FOR UPDATE
