WITH RECURSIVE up (id, ancestor) AS (
    SELECT t.id, t.parent_task_id FROM tasks AS t WHERE t.id = ANY($1::uuid[])
    UNION
    SELECT up.id, p.parent_task_id FROM up JOIN tasks AS p ON p.id = ANY (ARRAY[up.ancestor])
)
SELECT id FROM up WHERE ancestor = id LIMIT 1
