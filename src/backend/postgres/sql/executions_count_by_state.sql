SELECT CASE
    WHEN executions.state = 'running' AND executions.ending IS NOT NULL THEN 'cancelling'
    WHEN executions.state = 'pending' AND (SELECT r.opened_at FROM tasks AS r WHERE r.id = executions.root_task_id) IS NOT NULL THEN 'running'
    ELSE executions.state
END AS state, count(*) AS count
FROM executions
GROUP BY 1
ORDER BY 1
