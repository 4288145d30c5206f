INSERT INTO dead_letters (task_id, execution_id, function, task, reason, moved_at)
SELECT b.task_id, b.execution_id, b.function, b.task, b.reason, $6
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bytea[], $5::text[]) AS b (task_id, execution_id, function, task, reason)
ON CONFLICT (task_id) DO UPDATE SET task = excluded.task, reason = excluded.reason, moved_at = excluded.moved_at
