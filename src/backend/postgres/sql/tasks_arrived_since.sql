SELECT t.parent_task_id, t.op
FROM unnest($1::uuid[], $2::bigint[]) AS b (id, known)
CROSS JOIN LATERAL (
    SELECT a.parent_task_id, a.op FROM tasks AS a WHERE a.parent_task_id = b.id AND a.arrival > b.known OFFSET 0
) AS t
