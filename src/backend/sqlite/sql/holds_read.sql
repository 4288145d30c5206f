SELECT h.function FROM holds AS h
WHERE h.function IN (SELECT value FROM json_each(?1)) AND h.concurrency_key = '' AND h.ends_at > ?2
