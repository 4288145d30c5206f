DELETE FROM holds
WHERE (function, concurrency_key) IN (SELECT h.function, h.concurrency_key FROM holds AS h WHERE h.ends_at <= ?1 LIMIT ?2)
RETURNING function, concurrency_key
