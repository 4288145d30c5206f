SELECT t.id, t.parent_task_id
FROM unnest($1::uuid[]) AS b (id)
CROSS JOIN LATERAL (SELECT a.* FROM tasks AS a WHERE a.parent_task_id = b.id AND a.arrival = 0 OFFSET 0) AS t
WHERE t.op IS NOT NULL
ORDER BY t.parent_task_id, t.op
