SELECT k.function, k.concurrency_key FROM key_rates AS k WHERE k.due_at <= ?1 LIMIT ?2
