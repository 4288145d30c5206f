DELETE FROM waits WHERE task_id = ?1
