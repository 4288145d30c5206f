WITH RECURSIVE up (id, parent_task_id, depth) AS (
    SELECT t.id, t.parent_task_id, 0 FROM tasks AS t WHERE t.id = $1
    UNION ALL
    SELECT p.id, p.parent_task_id, up.depth + 1 FROM up JOIN tasks AS p ON p.id = ANY (ARRAY[up.parent_task_id])
)
SELECT id FROM up ORDER BY depth
