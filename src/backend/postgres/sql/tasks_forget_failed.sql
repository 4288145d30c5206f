DELETE FROM tasks WHERE parent_task_id = $1 AND arrival > 0 AND state = 'failed' AND kind <> 'activity'
