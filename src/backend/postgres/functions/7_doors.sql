-- What callers use: with the rights of the tables' owner, so that they need none of their own on these. Whatever their session
-- has set, it is done with these settings.

CREATE OR REPLACE FUNCTION dispatch(function text, args text DEFAULT '[]', options text DEFAULT '{}') RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER {settings} AS $$ BEGIN RETURN sql_dispatch($1, $2, $3); END $$;

CREATE OR REPLACE FUNCTION dispatch(function text, args json, options json DEFAULT '{}') RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER {settings} AS $$ BEGIN RETURN sql_dispatch($1, $2::text, $3::text); END $$;

CREATE OR REPLACE FUNCTION dispatch(function text, args jsonb, options jsonb DEFAULT '{}') RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER {settings} AS $$ BEGIN RETURN sql_dispatch($1, $2::text, $3::text); END $$;

CREATE OR REPLACE FUNCTION signal(execution uuid, name text, payload text DEFAULT 'null', options text DEFAULT '{}') RETURNS void
LANGUAGE plpgsql SECURITY DEFINER {settings} AS $$ BEGIN PERFORM sql_signal($1, $2, $3, $4); END $$;

CREATE OR REPLACE FUNCTION signal(execution uuid, name text, payload json, options json DEFAULT '{}') RETURNS void
LANGUAGE plpgsql SECURITY DEFINER {settings} AS $$ BEGIN PERFORM sql_signal($1, $2, $3::text, $4::text); END $$;

CREATE OR REPLACE FUNCTION signal(execution uuid, name text, payload jsonb, options jsonb DEFAULT '{}') RETURNS void
LANGUAGE plpgsql SECURITY DEFINER {settings} AS $$ BEGIN PERFORM sql_signal($1, $2, $3::text, $4::text); END $$;

CREATE OR REPLACE FUNCTION cancel(execution uuid, reason text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER {settings} AS $$ BEGIN PERFORM sql_cancel($1, $2); END $$;

CREATE OR REPLACE FUNCTION record_step(token text, result text DEFAULT 'null') RETURNS void
LANGUAGE plpgsql SECURITY DEFINER {settings} AS $$ BEGIN PERFORM sql_record_step($1, $2); END $$;

CREATE OR REPLACE FUNCTION record_step(token text, result json) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER {settings} AS $$ BEGIN PERFORM sql_record_step($1, $2::text); END $$;

CREATE OR REPLACE FUNCTION record_step(token text, result jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER {settings} AS $$ BEGIN PERFORM sql_record_step($1, $2::text); END $$;

-- Nobody may use them who is not named in a GRANT. What was granted before stays.
DO $$
DECLARE
    one regprocedure;
BEGIN
    FOR one IN
        SELECT p.oid::regprocedure FROM pg_proc AS p
        WHERE p.pronamespace = (SELECT n.oid FROM pg_namespace AS n WHERE n.nspname = current_schema()) AND (p.proname IN ('dispatch', 'signal', 'cancel', 'record_step') OR p.proname LIKE 'sql\_%')
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', one);
    END LOOP;
END
$$;
