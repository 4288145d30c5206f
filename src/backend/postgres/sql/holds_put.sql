INSERT INTO holds AS h (function, concurrency_key, ends_at)
SELECT t.step_name, CASE b.what WHEN $4 THEN t.concurrency_key ELSE '' END, max(b.ends_at)
FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS b (id, what, ends_at)
JOIN tasks AS t ON t.id = b.id
WHERE b.what <> $4 OR t.concurrency_key IS NOT NULL
GROUP BY 1, 2
ORDER BY 1, 2
ON CONFLICT (function, concurrency_key) DO UPDATE SET ends_at = excluded.ends_at WHERE excluded.ends_at > h.ends_at
RETURNING h.function, h.concurrency_key, h.xmax = 0 AS fresh
