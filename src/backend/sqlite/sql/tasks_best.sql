-- of each lane so many, of all of them together so many
SELECT c.lane, c.priority, c.created_at, c.id, c.started_at IS NULL AS fresh
FROM json_each(?1) AS l
CROSS JOIN tasks AS c ON c.rowid IN (
    SELECT t.rowid
    FROM tasks AS t
    WHERE t.lane = l.value
        AND (
            SELECT e.state
            FROM executions AS e
            WHERE e.id = t.execution_id
                AND (
                    e.expiry_due IS NULL OR e.ending IS NOT NULL
                    OR (e.expiry_due > ?4 AND e.expiry_due NOT BETWEEN 4611686018427387904 AND ?5)
                )
        ) IN ('pending', 'running')
    ORDER BY t.priority DESC, t.created_at, t.id
    LIMIT ?2
)
ORDER BY c.priority DESC, c.created_at, c.id
LIMIT ?3
