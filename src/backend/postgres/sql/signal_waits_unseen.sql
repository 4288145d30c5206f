SELECT id FROM tasks WHERE parent_task_id = $1 AND arrival > $2 AND kind = 'signal' AND state = 'completed'
