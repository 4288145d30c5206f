SELECT
    u.execution_id, u.dispatched_at, u.asked_id, e.state,
    coalesce(e.state = 'pending' AND t.state = 'pending' AND t.fence = 0, false) AS waits
FROM unique_keys AS u
LEFT JOIN executions AS e ON e.id = u.execution_id
LEFT JOIN tasks AS t ON t.id = e.root_task_id
WHERE u.key = $1
