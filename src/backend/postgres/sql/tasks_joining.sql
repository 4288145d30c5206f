SELECT t.id, t.parent_task_id
FROM tasks AS t
WHERE t.joins = $1
ORDER BY coalesce(t.made_at, t.created_at), t.id
FOR NO KEY UPDATE OF t NOWAIT
