SELECT
    t.id, t.step_name, t.concurrency_key, f.max_concurrent_per_key AS most,
    (
        SELECT count(*) FROM tasks AS h
        WHERE h.step_name = t.step_name AND h.concurrency_key = t.concurrency_key AND h.slot IN (1, 3)
    ) AS held,
    CASE t.slot WHEN 0 THEN f.rate_per_key END AS rate,
    (
        SELECT k.due_at FROM key_rates AS k
        WHERE k.function = t.step_name AND k.concurrency_key = t.concurrency_key
    ) AS next_at,
    CASE t.slot
        WHEN 0 THEN (
            SELECT h.ends_at FROM holds AS h
            WHERE h.function = t.step_name AND h.concurrency_key = t.concurrency_key
        )
    END AS hold_ends_at
FROM tasks AS t
LEFT JOIN functions AS f ON f.name = t.step_name
WHERE t.execution_id = ?1 AND +t.slot IN (0, 2)
ORDER BY t.created_at, t.id
LIMIT ?2
