DELETE FROM dead_letters WHERE task_id = ?1
