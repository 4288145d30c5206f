SELECT
    'table' AS part, c.relname::text AS name, pg_total_relation_size(c.oid) AS amount,
    coalesce(pg_stat_get_dead_tuples(c.oid), 0) AS more, coalesce(pg_stat_get_live_tuples(c.oid), 0) AS rows,
    greatest(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid)) AS since
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = current_schema() AND c.relkind = 'r'
UNION ALL
SELECT 'index', c.relname::text, (i.indisvalid AND i.indisready)::int::bigint, NULL, NULL, NULL
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = current_schema()
UNION ALL
SELECT 'lease', t.worker_id, count(*), NULL, NULL, min(t.lease_expires_at)
FROM tasks AS t
WHERE t.lease_expires_at IS NOT NULL AND t.state = 'running' AND t.lease_expires_at < now()
GROUP BY t.worker_id
UNION ALL
SELECT 'parked', t.step_name, count(*), NULL, NULL, min(coalesce(t.made_at, t.created_at))
FROM tasks AS t
WHERE t.parked IS NOT NULL
GROUP BY t.step_name
UNION ALL
SELECT 'stray', t.step_name, count(*), NULL, NULL, min(coalesce(t.made_at, t.created_at))
FROM tasks AS t
WHERE t.stray IS NOT NULL AND t.state IN ('pending', 'running', 'waiting')
    AND NOT EXISTS (SELECT 1 FROM executions AS e WHERE e.id = t.execution_id)
GROUP BY t.step_name
UNION ALL
SELECT 'due', NULL, count(*), NULL, NULL, min(t.due_at)
FROM tasks AS t
WHERE t.due_at < now()
UNION ALL
SELECT 'schedule', s.name, 1, NULL, NULL, s.due_at
FROM schedules AS s
WHERE s.due_at < now()
UNION ALL
SELECT 'broken_schedule', s.name, 1, NULL, NULL, s.updated_at
FROM schedules AS s
WHERE s.trouble IS NOT NULL
UNION ALL
-- keys of which a slot is free while somebody waits for one, and for no token
SELECT 'unshared', k.step_name, count(DISTINCT k.concurrency_key), NULL, NULL, NULL
FROM (
    SELECT DISTINCT t.step_name, t.concurrency_key, t.slot FROM tasks AS t WHERE t.slot IN (0, 2)
) AS k
LEFT JOIN functions AS f ON f.name = k.step_name
WHERE (k.slot = 2 OR f.key_interval IS NULL) AND (f.max_concurrent_per_key IS NULL OR f.max_concurrent_per_key > (
    SELECT count(*) FROM tasks AS h
    WHERE h.step_name = k.step_name AND h.concurrency_key = k.concurrency_key AND h.slot = 1
) + (
    SELECT count(*) FROM tasks AS h
    WHERE h.step_name = k.step_name AND h.concurrency_key = k.concurrency_key AND h.slot = 3
))
GROUP BY k.step_name
UNION ALL
SELECT 'ending', NULL, count(*), NULL, NULL, NULL
FROM executions AS e
WHERE e.state = 'cancelling' AND e.ending IS NOT NULL
UNION ALL
SELECT
    'transaction', coalesce(nullif(a.application_name, ''), a.usename::text), a.pid::bigint,
    age(a.backend_xmin)::bigint, NULL, a.xact_start
FROM pg_catalog.pg_stat_activity AS a
WHERE a.datname = current_database() AND a.backend_xmin IS NOT NULL AND a.pid <> pg_backend_pid()
    AND a.xact_start < now() - interval '1 minute'
UNION ALL
SELECT 'slot', s.slot_name::text, pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)::bigint, NULL, NULL, NULL
FROM pg_catalog.pg_replication_slots AS s
WHERE s.restart_lsn IS NOT NULL
