WITH RECURSIVE up (id, parent_task_id) AS (
    SELECT t.id, t.parent_task_id FROM tasks AS t WHERE t.id = $1
    UNION
    SELECT n.id, n.parent_task_id
    FROM up
    CROSS JOIN LATERAL (
        SELECT p.id, p.parent_task_id FROM tasks AS p WHERE p.id = up.parent_task_id
        UNION ALL
        SELECT j.id, j.parent_task_id FROM tasks AS j WHERE j.joins = up.id
    ) AS n
)
SELECT EXISTS (SELECT 1 FROM up WHERE up.id = $2) AS waits
