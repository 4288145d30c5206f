UPDATE tasks SET lane = route, due_at = NULL WHERE lane < 0 AND step_name = $1
