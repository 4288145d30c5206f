SELECT EXISTS (SELECT 1 FROM tasks INDEXED BY tasks_ready WHERE lane = ?1) AS found
