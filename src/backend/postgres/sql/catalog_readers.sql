-- each keeps this lock until its end. Who has read the table of versions as well is a dump, which claims nothing
SELECT l.virtualtransaction::text AS number, l.pid::bigint AS process
FROM pg_catalog.pg_locks AS l
WHERE l.locktype = 'relation'
    AND l.granted
    AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database())
    AND l.relation = to_regclass('catalog')
    AND l.pid <> pg_backend_pid()
    AND l.virtualtransaction <> ALL(
        ARRAY(
            SELECT o.virtualtransaction
            FROM pg_catalog.pg_locks AS o
            WHERE o.locktype = 'relation' AND o.database = l.database AND o.relation = to_regclass('stent_schema')
        )
    )
