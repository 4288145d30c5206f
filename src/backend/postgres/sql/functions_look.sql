-- whether the functions are not those of this mark, and may be made: by the tables' owner, on a server that can be written to, with
-- the language that they are written in
SELECT
    coalesce(obj_description(to_regprocedure('dispatch(text, text, text)'), 'pg_proc'), '') <> $1
    AND (
        SELECT pg_has_role(c.relowner, 'USAGE') AND has_schema_privilege(c.relnamespace, 'CREATE')
        FROM pg_catalog.pg_class AS c
        WHERE c.oid = to_regclass('stent_schema')
    )
    AND coalesce(
        (SELECT has_language_privilege(l.oid, 'USAGE') FROM pg_catalog.pg_language AS l WHERE l.lanname = 'plpgsql'), false
    )
    AND NOT pg_is_in_recovery()
    AND current_setting('transaction_read_only') = 'off' AS due
