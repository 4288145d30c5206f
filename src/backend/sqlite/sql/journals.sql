-- a child without op was created by a tool: it is not part of the journal
SELECT
    t.parent_task_id, t.op, t.id, t.step_key, t.step_name, t.kind, t.args, t.kwargs, t.state, t.result, t.error,
    t.arrival, t.completed_at
FROM tasks AS t
WHERE t.parent_task_id = ?1 AND t.arrival > ?2 AND t.op IS NOT NULL
UNION ALL
SELECT
    t.parent_task_id, t.op, t.id, t.step_key, t.step_name, t.kind, t.args, t.kwargs, t.state, t.result, t.error,
    t.arrival, t.completed_at
FROM tasks AS t
WHERE t.parent_task_id = ?1 AND t.arrival IS NULL AND ?2 = 0 AND t.op IS NOT NULL
