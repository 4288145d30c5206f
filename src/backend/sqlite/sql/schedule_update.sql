UPDATE schedules
SET owner = ?2, function = ?3, document = ?4, next_at = ?5, due_at = ?6, updated_at = ?7, trouble = NULL
WHERE name = ?1
