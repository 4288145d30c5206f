SELECT u.execution_id, u.dispatched_at, e.state
FROM unique_keys AS u
LEFT JOIN executions AS e ON e.id = u.execution_id
WHERE u.key = $1
