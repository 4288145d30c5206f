-- the second column of a task: true all that is below it, false what was cancelled from above
WITH RECURSIVE below (id) AS (
    SELECT t.id
    FROM unnest($1::uuid[], $2::boolean[]) AS b (id, everything)
    JOIN tasks AS t ON t.parent_task_id = b.id
    WHERE b.everything OR t.arrival = 0
    UNION ALL
    SELECT c.id FROM below JOIN tasks AS c ON c.parent_task_id = below.id
)
SELECT id FROM below
