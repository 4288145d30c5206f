-- who took it last, and of those before who goes on
SELECT
    h.execution_id, h.dispatched_at, h.asked_id, e.state,
    coalesce(e.state = 'pending' AND t.state = 'pending' AND t.fence = 0, false) AS waits,
    h.latest
FROM (
    SELECT u.execution_id, u.dispatched_at, u.asked_id, true AS latest FROM unique_keys AS u WHERE u.key = $1
    UNION ALL
    SELECT p.execution_id, p.dispatched_at, NULL::uuid, false FROM unique_earlier AS p WHERE p.key = $1
) AS h
LEFT JOIN executions AS e ON e.id = h.execution_id
LEFT JOIN tasks AS t ON t.id = e.root_task_id
WHERE h.latest OR e.state IN ('pending', 'running', 'cancelling')
ORDER BY h.latest DESC, h.dispatched_at DESC
