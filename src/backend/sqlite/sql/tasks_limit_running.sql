UPDATE tasks
SET limited = 1
WHERE rowid IN (
    SELECT t.rowid FROM tasks AS t INDEXED BY tasks_leased WHERE t.lease_until IS NOT NULL AND t.step_name = ?1
)
