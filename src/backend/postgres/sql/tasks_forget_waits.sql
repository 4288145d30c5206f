DELETE FROM waits WHERE task_id = ANY($1::uuid[])
