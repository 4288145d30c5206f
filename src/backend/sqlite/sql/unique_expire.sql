DELETE FROM unique_keys
WHERE key IN (
    SELECT u.key
    FROM unique_keys AS u
    LEFT JOIN executions AS e ON e.id = u.execution_id
    WHERE u.expires_at <= ?1 AND (e.id IS NULL OR e.state NOT IN ('pending', 'running', 'cancelling'))
    ORDER BY u.expires_at
    LIMIT ?2
)
