DELETE FROM dead_letters
WHERE task_id IN (SELECT d.task_id FROM dead_letters AS d WHERE d.moved_at < $1 ORDER BY d.moved_at LIMIT $2)
