-- the second column of a task: true all that is below it, false what was cancelled from above
WITH RECURSIVE below (id) AS (
    SELECT t.id
    FROM unnest($1::uuid[], $2::boolean[]) AS b (id, everything)
    CROSS JOIN LATERAL (SELECT a.id, a.arrival FROM tasks AS a WHERE a.parent_task_id = b.id OFFSET 0) AS t
    WHERE b.everything OR t.arrival = 0
    UNION
    SELECT c.id
    FROM below
    CROSS JOIN LATERAL (SELECT a.id FROM tasks AS a WHERE a.parent_task_id = below.id OFFSET 0) AS c
)
SELECT id FROM below
