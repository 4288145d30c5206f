SELECT
    t.id, t.step_name, t.concurrency_key, f.max_concurrent_per_key AS most,
    (
        SELECT count(*) FROM tasks AS h
        WHERE h.step_name = t.step_name AND h.concurrency_key = t.concurrency_key AND h.slot = 1
    ) + (
        SELECT count(*) FROM tasks AS h
        WHERE h.step_name = t.step_name AND h.concurrency_key = t.concurrency_key AND h.slot = 3
    ) AS held,
    CASE t.slot WHEN 0 THEN f.rate_per_key END AS rate,
    least(
        (
            SELECT k.due_at FROM key_rates AS k
            WHERE k.function = t.step_name AND k.concurrency_key = t.concurrency_key
        ),
        (
            SELECT min(s.due_at) FROM key_starts AS s
            WHERE s.function = t.step_name AND s.concurrency_key = t.concurrency_key
        )
    ) AS next_at,
    CASE t.slot
        WHEN 0 THEN (
            SELECT h.ends_at FROM holds AS h
            WHERE h.function = t.step_name AND h.concurrency_key = t.concurrency_key
        )
    END AS hold_ends_at
FROM (
    SELECT a.id FROM tasks AS a WHERE a.execution_id = $1 AND a.root IS NULL
    UNION ALL
    SELECT a.id FROM tasks AS a WHERE a.id = (SELECT e.root_task_id FROM executions AS e WHERE e.id = $1) AND a.root
) AS own
JOIN tasks AS t ON t.id = own.id
LEFT JOIN functions AS f ON f.name = t.step_name
WHERE t.slot IN (0, 2)
ORDER BY t.created_at, t.id
LIMIT $2
