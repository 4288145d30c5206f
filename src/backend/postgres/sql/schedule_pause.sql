UPDATE schedules SET paused_at = $2, pause_note = $3, next_at = $4, due_at = $5 WHERE name = $1
