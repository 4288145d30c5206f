SELECT k.function, k.concurrency_key FROM key_rates AS k WHERE k.due_at <= $1::timestamptz
UNION
SELECT s.function, s.concurrency_key FROM key_starts AS s WHERE s.due_at <= $1::timestamptz
LIMIT $2
