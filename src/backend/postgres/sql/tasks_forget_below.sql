WITH RECURSIVE below (id) AS (
    SELECT t.id FROM tasks AS t WHERE t.parent_task_id = $1
    UNION ALL
    SELECT c.id FROM below JOIN tasks AS c ON c.parent_task_id = below.id
)
DELETE FROM tasks WHERE id IN (SELECT below.id FROM below)
