SELECT task, reason, moved_at
FROM dead_letters
WHERE ($1::uuid IS NULL OR execution_id = $1) AND ($2::text IS NULL OR function = $2)
ORDER BY moved_at DESC, task_id DESC
LIMIT $3 OFFSET $4
