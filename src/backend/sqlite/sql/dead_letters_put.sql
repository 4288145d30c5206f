INSERT INTO dead_letters (task_id, execution_id, function, task, reason, moved_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (task_id) DO UPDATE SET task = excluded.task, reason = excluded.reason, moved_at = excluded.moved_at
