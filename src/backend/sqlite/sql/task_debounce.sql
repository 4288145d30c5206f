-- its fence grows with the first claim
UPDATE tasks
SET args = ?2,
    kwargs = ?3,
    lane = CASE WHEN ?5 IS NULL THEN route END,
    due_at = ?5,
    scheduled_for = ?6
WHERE id = ?1 AND state = 'pending' AND fence = 0
