SELECT count(*) AS count
FROM executions
WHERE $1::text IS NULL OR CASE
        WHEN executions.state = 'running' AND executions.ending IS NOT NULL THEN 'cancelling'
        WHEN executions.state = 'pending' AND (SELECT r.opened_at FROM tasks AS r WHERE r.id = executions.root_task_id) IS NOT NULL THEN 'running'
        ELSE executions.state
    END = $1
