-- a child without op was created by a tool: it is not part of the journal
SELECT
    t.parent_task_id, t.op, t.id, t.step_key, t.step_name, t.kind, t.args, t.kwargs, t.state, t.result, t.error,
    t.arrival, t.completed_at
FROM jsonb_each(?1) AS b
CROSS JOIN tasks AS t ON t.parent_task_id = substr(?2, b.value ->> 0, 16) AND t.arrival > b.value ->> 1
WHERE t.op IS NOT NULL
UNION ALL
SELECT
    t.parent_task_id, t.op, t.id, t.step_key, t.step_name, t.kind, t.args, t.kwargs, t.state, t.result, t.error,
    t.arrival, t.completed_at
FROM jsonb_each(?1) AS b
CROSS JOIN tasks AS t ON t.parent_task_id = substr(?2, b.value ->> 0, 16) AND t.arrival IS NULL
WHERE b.value ->> 1 = 0 AND t.op IS NOT NULL
