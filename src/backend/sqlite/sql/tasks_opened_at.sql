UPDATE tasks
SET opened = min(ifnull(tasks.opened, f.op), f.op)
FROM (
    SELECT t.parent_task_id AS id, min(t.op) AS op
    FROM jsonb_each(?1) AS b
    CROSS JOIN tasks AS t ON t.id = substr(?2, b.value ->> 0, 16)
    WHERE t.op IS NOT NULL
    GROUP BY t.parent_task_id
) AS f
WHERE tasks.id = f.id
