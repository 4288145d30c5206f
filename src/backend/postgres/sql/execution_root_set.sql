UPDATE executions SET root_task_id = $2 WHERE id = $1 AND root_task_id IS NULL
