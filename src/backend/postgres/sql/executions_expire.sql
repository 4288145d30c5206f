UPDATE executions
SET state = 'cancelling', ending = 'timed_out', cancel_reason = 'it took longer than it was given'
WHERE id = ANY(
    ARRAY(
        SELECT e.id FROM executions AS e
        WHERE e.expiry_at IS NOT NULL AND e.ending IS NULL AND e.completed_at IS NULL AND e.expiry_at <= $1
        ORDER BY e.expiry_at
        LIMIT $2
        FOR NO KEY UPDATE SKIP LOCKED
    )
)
RETURNING id
