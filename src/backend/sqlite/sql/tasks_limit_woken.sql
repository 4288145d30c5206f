UPDATE tasks
SET lane = route, due_at = NULL
WHERE rowid IN (SELECT t.rowid FROM tasks AS t INDEXED BY tasks_ready WHERE t.lane < 0 AND t.step_name = ?1)
