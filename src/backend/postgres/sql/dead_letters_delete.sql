DELETE FROM dead_letters WHERE task_id = ANY($1::uuid[])
