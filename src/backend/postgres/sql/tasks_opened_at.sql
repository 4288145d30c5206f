UPDATE tasks
SET opened = least(tasks.opened, f.op)
FROM (
    SELECT t.parent_task_id AS id, min(t.op) AS op
    FROM tasks AS t
    WHERE t.id = ANY($1::uuid[]) AND t.op IS NOT NULL
    GROUP BY t.parent_task_id
) AS f
WHERE tasks.id = f.id
