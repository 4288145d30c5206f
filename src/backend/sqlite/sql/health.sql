-- the file has no sizes of tables: its free pages alone
SELECT
    'file' AS part, NULL AS name, p.page_count * s.page_size AS amount, f.freelist_count * s.page_size AS more,
    NULL AS rows, NULL AS since
FROM pragma_page_count AS p, pragma_page_size AS s, pragma_freelist_count AS f
UNION ALL
SELECT 'index', i.name, 1, NULL, NULL, NULL FROM sqlite_schema AS i WHERE i.type = 'index' AND i.sql IS NOT NULL
UNION ALL
SELECT 'lease', t.worker_id, count(*), NULL, NULL, min(t.lease_expires_at)
FROM tasks AS t INDEXED BY tasks_leased
WHERE t.lease_until IS NOT NULL AND (t.lease_boot <> ?2 OR t.lease_until < ?3)
GROUP BY t.worker_id
UNION ALL
SELECT 'parked', t.step_name, count(*), NULL, NULL, min(coalesce(t.made_at, t.created_at))
FROM tasks AS t INDEXED BY tasks_parked
WHERE t.parked IS NOT NULL
GROUP BY t.step_name
UNION ALL
SELECT 'stray', t.step_name, count(*), NULL, NULL, min(coalesce(t.made_at, t.created_at))
FROM tasks AS t INDEXED BY tasks_strays
WHERE t.stray IS NOT NULL AND t.state IN ('pending', 'running', 'waiting')
    AND NOT EXISTS (SELECT 1 FROM executions AS e WHERE e.id = t.execution_id)
GROUP BY t.step_name
UNION ALL
SELECT 'due', NULL, count(*), NULL, NULL, min(t.due_at)
FROM tasks AS t INDEXED BY tasks_due
WHERE t.due_at < ?1
UNION ALL
SELECT 'due', NULL, count(*), NULL, NULL, ?1 - ?3 + min(t.due_at) - 4611686018427387904
FROM tasks AS t INDEXED BY tasks_due
WHERE t.due_at >= 4611686018427387904 AND t.due_at < 4611686018427387904 + ?3
UNION ALL
SELECT 'schedule', p.name, 1, NULL, NULL, p.due_at
FROM schedules AS p
WHERE p.due_at < ?1
UNION ALL
-- of schedules there are few
SELECT 'broken_schedule', p.name, 1, NULL, NULL, p.updated_at
FROM schedules AS p
WHERE p.trouble IS NOT NULL
UNION ALL
-- keys of which a slot is free while somebody waits for one, and for no token
SELECT 'unshared', k.step_name, count(DISTINCT k.concurrency_key), NULL, NULL, NULL
FROM (
    SELECT DISTINCT t.step_name, t.concurrency_key, t.slot FROM tasks AS t INDEXED BY tasks_slots WHERE t.slot IN (0, 2)
) AS k
LEFT JOIN functions AS f ON f.name = k.step_name
WHERE (k.slot = 2 OR f.key_interval IS NULL) AND (f.max_concurrent_per_key IS NULL OR f.max_concurrent_per_key > (
    SELECT count(*) FROM tasks AS h INDEXED BY tasks_slots
    WHERE h.step_name = k.step_name AND h.concurrency_key = k.concurrency_key AND h.slot IN (1, 3)
))
GROUP BY k.step_name
UNION ALL
SELECT 'ending', NULL, count(*), NULL, NULL, NULL
FROM executions AS e
WHERE e.state = 'cancelling'
