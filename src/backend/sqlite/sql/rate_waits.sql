SELECT
    t.id, t.step_name, f.rate, r.full_at, t.queue, q.rate AS queue_rate, q.full_at AS queue_full_at,
    h.ends_at AS hold_ends_at, ?3 AS now
FROM tasks AS t
LEFT JOIN functions AS f ON f.name = t.step_name
LEFT JOIN rates AS r ON r.kind = 'function' AND r.name = t.step_name
LEFT JOIN rates AS q ON q.kind = 'queue' AND q.name = t.queue
LEFT JOIN holds AS h ON h.function = t.step_name AND h.concurrency_key = ''
WHERE t.execution_id = ?1 AND +t.lane IS NOT NULL AND t.started_at IS NULL AND coalesce(f.rate, q.rate, h.ends_at) IS NOT NULL
ORDER BY t.created_at, t.id
LIMIT ?2
