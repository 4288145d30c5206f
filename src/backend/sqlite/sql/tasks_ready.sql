UPDATE tasks
SET lane = route, due_at = NULL
WHERE id IN (SELECT substr(?2, value ->> 0, 16) FROM jsonb_each(?1)) AND state = 'pending'
