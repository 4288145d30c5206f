INSERT INTO workers (worker_id, queues, tags, started_at, seen_at) VALUES ($1, $2, $3, $4, $4)
ON CONFLICT (worker_id) DO UPDATE SET
    queues = excluded.queues, tags = excluded.tags, started_at = excluded.started_at, seen_at = excluded.seen_at
