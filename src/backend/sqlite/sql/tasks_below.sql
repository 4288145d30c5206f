-- the second column of a task: 1 all that is below it, 0 what was cancelled from above
WITH RECURSIVE below (id) AS (
    SELECT t.id
    FROM jsonb_each(?1) AS b
    CROSS JOIN tasks AS t ON t.parent_task_id = substr(?2, b.value ->> 0, 16)
    WHERE b.value ->> 1 OR t.arrival = 0
    UNION
    SELECT c.id FROM below CROSS JOIN tasks AS c ON c.parent_task_id = below.id
)
SELECT id FROM below
