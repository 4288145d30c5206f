-- not needed: since
UPDATE executions
SET state = 'cancelling', ending = 'timed_out', cancel_reason = 'it took longer than it was given'
WHERE id IN (
    SELECT id
    FROM (
        SELECT e.id FROM executions AS e
        WHERE e.expiry_due <= ?1 AND e.ending IS NULL AND e.completed_at IS NULL
        ORDER BY e.expiry_due
        LIMIT ?3
    )
    UNION ALL
    SELECT id
    FROM (
        SELECT e.id FROM executions AS e
        WHERE e.expiry_due BETWEEN 4611686018427387904 AND ?2 AND e.ending IS NULL AND e.completed_at IS NULL
        ORDER BY e.expiry_due
        LIMIT ?3
    )
)
RETURNING id
