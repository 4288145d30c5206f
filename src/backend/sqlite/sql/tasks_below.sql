-- second column of the batch: 1 all descendants, 0 those of operations that were cancelled from above (arrival 0)
WITH RECURSIVE below (id) AS (
    SELECT t.id
    FROM jsonb_each(?1) AS b
    CROSS JOIN tasks AS t ON t.parent_task_id = substr(?2, b.value ->> 0, 16)
    WHERE b.value ->> 1 OR t.arrival = 0
    UNION
    SELECT c.id FROM below CROSS JOIN tasks AS c ON c.parent_task_id = below.id
)
SELECT id FROM below
