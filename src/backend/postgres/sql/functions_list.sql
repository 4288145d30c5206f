SELECT name, queue, tags, priority, retry_policy, timeout, version, max_concurrent, cached, cache_ttl, idempotent,
    cleanup, max_concurrent_per_key, rate, rate_per_key, priority_ageing
FROM functions
