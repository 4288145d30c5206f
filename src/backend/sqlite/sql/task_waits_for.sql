WITH RECURSIVE up (id, parent_task_id) AS (
    SELECT t.id, t.parent_task_id FROM tasks AS t WHERE t.id = ?1
    UNION
    SELECT p.id, p.parent_task_id FROM up JOIN tasks AS p ON p.id = up.parent_task_id
    UNION
    SELECT j.id, j.parent_task_id FROM up JOIN tasks AS j ON j.joins = up.id
)
SELECT EXISTS (SELECT 1 FROM up WHERE up.id = ?2) AS waits
