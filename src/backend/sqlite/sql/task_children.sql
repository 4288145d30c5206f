SELECT id, op, step_key, state, arrival FROM tasks WHERE parent_task_id = ?1 ORDER BY op, id
