WITH RECURSIVE up (id, ancestor) AS (
    SELECT t.id, t.parent_task_id
    FROM jsonb_each(?1) AS b
    CROSS JOIN tasks AS t ON t.id = substr(?2, b.value ->> 0, 16)
    UNION
    SELECT up.id, p.parent_task_id FROM up CROSS JOIN tasks AS p ON p.id = up.ancestor
)
SELECT id FROM up WHERE ancestor = id LIMIT 1
