SELECT
    t.id, t.step_name, t.concurrency_key, f.max_concurrent_per_key AS most,
    (
        SELECT count(*) FROM tasks AS h
        WHERE h.step_name = t.step_name AND h.concurrency_key = t.concurrency_key AND h.slot IN (1, 3)
    ) AS held
FROM tasks AS t
LEFT JOIN functions AS f ON f.name = t.step_name
WHERE t.execution_id = ?1 AND +t.slot IN (0, 2)
ORDER BY t.created_at, t.id
LIMIT ?2
