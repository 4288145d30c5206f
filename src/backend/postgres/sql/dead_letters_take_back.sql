DELETE FROM dead_letters
WHERE task_id IN (SELECT t.id FROM tasks AS t WHERE t.parent_task_id = $1 AND t.arrival > 0 AND t.state = 'failed')
