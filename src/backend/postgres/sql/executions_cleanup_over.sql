UPDATE executions
SET state = 'cancelling'
WHERE id = ANY(
    ARRAY(
        SELECT e.id FROM executions AS e
        WHERE e.cleanup_due IS NOT NULL AND e.state = 'running' AND e.cleanup_due <= $1
        ORDER BY e.cleanup_due
        LIMIT $2
        FOR NO KEY UPDATE SKIP LOCKED
    )
)
RETURNING id
