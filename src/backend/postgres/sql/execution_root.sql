SELECT root_task_id FROM executions WHERE id = $1
