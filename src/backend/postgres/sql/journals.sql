-- a child without op was created by a tool: it is not part of the journal
SELECT
    t.parent_task_id, t.op, t.id, t.step_key, t.step_name, t.kind, t.args, t.kwargs, t.state, t.result, t.error,
    t.arrival, t.completed_at
FROM unnest($1::uuid[], $2::bigint[]) AS b (id, after)
CROSS JOIN LATERAL (SELECT a.* FROM tasks AS a WHERE a.parent_task_id = b.id AND a.arrival > b.after OFFSET 0) AS t
WHERE t.op IS NOT NULL
UNION ALL
SELECT
    t.parent_task_id, t.op, t.id, t.step_key, t.step_name, t.kind, t.args, t.kwargs, t.state, t.result, t.error,
    t.arrival, t.completed_at
FROM unnest($1::uuid[], $2::bigint[]) AS b (id, after)
CROSS JOIN LATERAL (SELECT a.* FROM tasks AS a WHERE a.parent_task_id = b.id AND a.arrival IS NULL OFFSET 0) AS t
WHERE b.after = 0 AND t.op IS NOT NULL
