SELECT name FROM sqlite_schema
WHERE type = 'table' AND name IN (
    'stent_schema', 'executions', 'tasks', 'waits', 'signals', 'dead_letters', 'cache', 'idempotency',
    'execution_progress', 'execution_counters', 'execution_state', 'functions', 'routes', 'workers',
    'unfinished_trees', 'boots', 'catalog'
)
ORDER BY name
