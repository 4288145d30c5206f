SELECT task, reason, moved_at
FROM dead_letters
WHERE task_id = $1 AND ($2::uuid IS NULL OR execution_id = $2) AND ($3::text IS NULL OR function = $3)
LIMIT $4 OFFSET $5
