INSERT INTO functions (
    name, queue, tags, priority, retry_policy, timeout, version, max_concurrent, cached, cache_ttl, idempotent,
    cleanup, max_concurrent_per_key, rate, rate_per_key, key_interval, key_burst,
    priority_ageing
)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)
ON CONFLICT (name) DO UPDATE SET
    queue = excluded.queue, tags = excluded.tags, priority = excluded.priority, retry_policy = excluded.retry_policy,
    timeout = excluded.timeout, version = excluded.version, max_concurrent = excluded.max_concurrent,
    cached = excluded.cached, cache_ttl = excluded.cache_ttl, idempotent = excluded.idempotent,
    cleanup = excluded.cleanup, max_concurrent_per_key = excluded.max_concurrent_per_key,
    rate = excluded.rate, rate_per_key = excluded.rate_per_key, key_interval = excluded.key_interval,
    key_burst = excluded.key_burst, priority_ageing = excluded.priority_ageing
