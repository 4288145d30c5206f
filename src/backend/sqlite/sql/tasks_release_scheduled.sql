-- a delay is over, whatever the wall clock, which was set since, says of its end
UPDATE tasks
SET lane = route,
    scheduled_for = CASE WHEN due_at >= 4611686018427387904 THEN min(scheduled_for, ?1) ELSE scheduled_for END,
    due_at = NULL
WHERE rowid IN (
    SELECT number
    FROM (
        SELECT t.rowid AS number
        FROM tasks AS t INDEXED BY tasks_due
        WHERE t.due_at <= ?1 AND t.state = 'pending' AND t.route IS NOT NULL
        ORDER BY t.due_at
        LIMIT ?3
    )
    UNION ALL
    SELECT number
    FROM (
        SELECT t.rowid AS number
        FROM tasks AS t INDEXED BY tasks_due
        WHERE t.due_at BETWEEN 4611686018427387904 AND ?2 AND t.state = 'pending' AND t.route IS NOT NULL
        ORDER BY t.due_at
        LIMIT ?3
    )
)
