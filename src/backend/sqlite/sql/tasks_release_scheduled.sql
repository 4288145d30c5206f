UPDATE tasks
SET lane = route, due_at = NULL
WHERE rowid IN (
    SELECT t.rowid
    FROM tasks AS t INDEXED BY tasks_due
    WHERE t.due_at <= ?1 AND t.state = 'pending' AND t.route IS NOT NULL
    ORDER BY t.due_at
    LIMIT ?2
)
