WITH RECURSIVE up (id, parent_task_id, execution_id) AS (
    SELECT t.id, t.parent_task_id, t.execution_id FROM tasks AS t WHERE t.id = ?1
    UNION
    SELECT p.id, p.parent_task_id, p.execution_id FROM up CROSS JOIN tasks AS p ON p.id = up.parent_task_id
)
SELECT id, parent_task_id, execution_id FROM up
