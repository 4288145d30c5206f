-- of what may still run
UPDATE tasks
SET deadline_at = deadline_at - 4611686018427387904 + ?1
WHERE deadline_at >= 4611686018427387904
    AND rowid IN (
        SELECT t.rowid FROM tasks AS t WHERE t.due_at IS NOT NULL
        UNION
        SELECT t.rowid FROM tasks AS t WHERE t.lane IS NOT NULL
        UNION
        SELECT t.rowid FROM tasks AS t WHERE t.parked IS NOT NULL
        UNION
        SELECT t.rowid FROM tasks AS t WHERE t.lease_until IS NOT NULL
    )
