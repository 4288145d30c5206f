INSERT INTO holds (function, concurrency_key, ends_at)
SELECT t.step_name, CASE ?2 WHEN ?4 THEN t.concurrency_key ELSE '' END, ?3
FROM tasks AS t
WHERE t.id = ?1 AND (?2 <> ?4 OR t.concurrency_key IS NOT NULL)
ON CONFLICT (function, concurrency_key) DO UPDATE SET ends_at = excluded.ends_at WHERE excluded.ends_at > holds.ends_at
RETURNING function, concurrency_key, 0 AS fresh
