-- a delay is over, whatever the wall clock, which was set since, says of its end
UPDATE tasks
SET lane = route,
    scheduled_for = CASE WHEN due_at >= 4611686018427387904 THEN min(scheduled_for, ?2) ELSE scheduled_for END,
    due_at = NULL
WHERE id = ?1 AND state = 'pending'
