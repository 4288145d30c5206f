SELECT t.parent_task_id, t.op
FROM unnest($1::uuid[], $2::bigint[]) AS b (id, known)
JOIN tasks AS t ON t.parent_task_id = b.id AND t.arrival > b.known
