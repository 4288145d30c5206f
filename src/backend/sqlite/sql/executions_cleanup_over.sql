UPDATE executions
SET state = 'cancelling'
WHERE id IN (
    SELECT id
    FROM (
        SELECT e.id FROM executions AS e WHERE e.cleanup_due <= ?1 AND e.state = 'running'
        ORDER BY e.cleanup_due
        LIMIT ?3
    )
    UNION ALL
    SELECT id
    FROM (
        SELECT e.id FROM executions AS e
        WHERE e.cleanup_due BETWEEN 4611686018427387904 AND ?2 AND e.state = 'running'
        ORDER BY e.cleanup_due
        LIMIT ?3
    )
)
RETURNING id
