SELECT t.id FROM tasks AS t WHERE t.execution_id = ANY($1::uuid[]) AND t.root IS NULL
UNION ALL
SELECT t.id
FROM executions AS e
CROSS JOIN LATERAL (SELECT a.id, a.root FROM tasks AS a WHERE a.id = e.root_task_id OFFSET 0) AS t
WHERE e.id = ANY($1::uuid[]) AND t.root
LIMIT $2
