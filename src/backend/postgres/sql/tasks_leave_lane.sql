UPDATE tasks SET lane = route, due_at = NULL WHERE lane = $1
