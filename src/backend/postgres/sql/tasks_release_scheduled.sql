UPDATE tasks
SET lane = route, readied = txid_current(), due_at = NULL
WHERE id = ANY(
    ARRAY(
        SELECT t.id
        FROM tasks AS t
        WHERE t.due_at <= $1 AND t.state = 'pending' AND t.route IS NOT NULL
        ORDER BY t.due_at
        LIMIT $2
        FOR UPDATE OF t SKIP LOCKED
    )
)
