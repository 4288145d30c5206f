UPDATE tasks
SET lane = route, due_at = NULL
WHERE rowid IN (
    SELECT t.rowid
    FROM tasks AS t INDEXED BY tasks_ready
    WHERE t.lane < 0 AND t.route IN (SELECT value FROM json_each(?1))
)
