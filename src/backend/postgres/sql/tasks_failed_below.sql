WITH RECURSIVE failed (id) AS (
    SELECT t.id FROM tasks AS t WHERE t.parent_task_id = $1 AND t.arrival > 0 AND t.state = 'failed'
    UNION
    SELECT c.id
    FROM failed
    JOIN tasks AS c ON c.parent_task_id = failed.id AND c.arrival > 0
    WHERE c.state = 'failed'
)
SELECT id FROM failed
