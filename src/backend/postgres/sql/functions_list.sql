SELECT name, queue, tags, priority, retry_policy, timeout, version, max_concurrent, cached, cache_ttl, idempotent,
    cleanup
FROM functions
