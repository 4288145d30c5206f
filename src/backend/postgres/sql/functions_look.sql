-- whether the functions are not those of this mark and may be made, and as whom: as the tables' owner, on a server that can be
-- written to, with the language that they are written in
SELECT
    pg_get_userbyid(c.relowner)::text AS owner,
    coalesce(obj_description(f.oid, 'pg_proc'), '') <> $1
    AND CASE
        WHEN current_setting('server_version_num')::int >= 160000 THEN pg_has_role(c.relowner, 'SET')
        ELSE pg_has_role(c.relowner, 'MEMBER')
    END
    AND (f.oid IS NULL OR pg_has_role(c.relowner, f.proowner, 'USAGE'))
    AND has_schema_privilege(c.relowner, c.relnamespace, 'CREATE')
    AND coalesce(has_language_privilege(c.relowner, l.oid, 'USAGE'), false)
    AND NOT pg_is_in_recovery()
    AND current_setting('transaction_read_only') = 'off' AS due
FROM pg_catalog.pg_class AS c
LEFT JOIN pg_catalog.pg_proc AS f ON f.oid = to_regprocedure('dispatch(text, text, text)')
LEFT JOIN pg_catalog.pg_language AS l ON l.lanname = 'plpgsql'
WHERE c.oid = to_regclass('stent_schema')
