SELECT
    t.parent_task_id, t.op, t.id, t.step_key, t.step_name, t.kind, t.args, t.kwargs, t.state, t.result, t.error,
    t.arrival, t.completed_at
FROM unnest($1::uuid[], $2::bigint[]) AS b (id, after)
JOIN tasks AS t ON t.parent_task_id = b.id AND t.arrival > b.after
UNION ALL
SELECT
    t.parent_task_id, t.op, t.id, t.step_key, t.step_name, t.kind, t.args, t.kwargs, t.state, t.result, t.error,
    t.arrival, t.completed_at
FROM unnest($1::uuid[], $2::bigint[]) AS b (id, after)
JOIN tasks AS t ON t.parent_task_id = b.id AND t.arrival IS NULL
WHERE b.after = 0
