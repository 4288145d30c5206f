UPDATE waits SET mode = NULL, ops = NULL, missing = NULL WHERE task_id = $1
