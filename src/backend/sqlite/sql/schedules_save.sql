UPDATE schedules
SET next_at = ?2, due_at = ?3, last_execution = ?4, waiting = ?5, trouble = ?6
WHERE name = ?1
