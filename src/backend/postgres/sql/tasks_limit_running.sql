UPDATE tasks SET limited = true
WHERE id = ANY(
    ARRAY(
        SELECT t.id
        FROM tasks AS t
        WHERE t.lease_expires_at IS NOT NULL AND t.state = 'running' AND t.step_name = $1
        ORDER BY t.id
        FOR NO KEY UPDATE
    )
)
