-- What this user may do with the schema, and what of it is missing for a store whose tables are there.
SELECT current_user::text AS me,
       current_database()::text AS database,
       has_database_privilege(current_database(), 'CREATE') AS may_make_schemas,
       n.oid IS NOT NULL AS found,
       coalesce(has_schema_privilege(n.oid, 'USAGE'), false) AS may_use,
       coalesce(has_schema_privilege(n.oid, 'CREATE'), false) AS may_create,
       s.relowner IS NULL OR pg_has_role(s.relowner, 'USAGE') AS is_owner,
       coalesce(pg_get_userbyid(s.relowner), '')::text AS owner,
       ARRAY(
           SELECT p.name
           FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) WITH ORDINALITY AS p (name, place)
           WHERE EXISTS (
               SELECT 1
               FROM pg_catalog.pg_class AS c
               WHERE c.relnamespace = n.oid
                 AND c.relkind IN ('r', 'p')
                 AND (c.relname <> 'stent_schema' OR p.name = 'SELECT')
                 AND NOT has_table_privilege(c.oid, p.name)
           )
           ORDER BY p.place
       ) AS missing
FROM (SELECT 1) AS one
LEFT JOIN pg_catalog.pg_namespace AS n ON n.nspname = $1
LEFT JOIN pg_catalog.pg_class AS s ON s.relnamespace = n.oid AND s.relname = 'stent_schema'
