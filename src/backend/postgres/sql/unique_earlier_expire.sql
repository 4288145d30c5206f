DELETE FROM unique_earlier
WHERE (key, execution_id) IN (
    SELECT p.key, p.execution_id
    FROM unique_earlier AS p
    LEFT JOIN executions AS e ON e.id = p.execution_id
    WHERE p.dispatched_at <= $1 AND (e.id IS NULL OR e.state NOT IN ('pending', 'running', 'cancelling'))
    LIMIT $2
    FOR UPDATE OF p SKIP LOCKED
)
