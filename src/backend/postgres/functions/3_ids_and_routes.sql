-- What a dispatch makes before its rows, and what its transaction does at its end.

CREATE OR REPLACE FUNCTION sql_tell(what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('stent_' || left(encode(sha256(convert_to(current_schema()::text, 'UTF8')), 'hex'), 16), 'sql ' || what);
END
$$;

-- What of a transaction's end waits for others does so in one order, whichever of its triggers comes first: cancels, the catalog,
-- slots of keys. What there is, is noted in a setting of the transaction, a line for each, with the schema. Where that is lost
-- each trigger does its own part, in the order of the calls.
CREATE OR REPLACE FUNCTION sql_note(what text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    noted text := coalesce(current_setting('stent.ends', true), '');
    line text := jsonb_build_array(current_schema(), what)::text || E'\n';
BEGIN
    IF strpos(noted, line) = 0 THEN
        PERFORM set_config('stent.ends', noted || line, true);
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION sql_at_the_end() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    noted text := coalesce(current_setting('stent.ends', true), '');
    cancels text := jsonb_build_array(current_schema(), 'cancels')::text || E'\n';
    routes text := jsonb_build_array(current_schema(), 'routes')::text || E'\n';
BEGIN
    IF noted = '' THEN
        RETURN;
    END IF;
    PERFORM set_config('stent.ends', replace(replace(noted, cancels, ''), routes, ''), true);
    IF strpos(noted, cancels) > 0 THEN
        PERFORM sql_begin_cancels();
    END IF;
    IF strpos(noted, routes) > 0 THEN
        PERFORM FROM catalog FOR NO KEY UPDATE;
    END IF;
END
$$;

-- A new id for an execution: a UUIDv7.
CREATE OR REPLACE FUNCTION sql_new_id() RETURNS uuid LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT encode(
        set_bit(set_bit(
            overlay(
                uuid_send(gen_random_uuid())
                PLACING substr(int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint), 3) FROM 1 FOR 6
            ), 52, 1
        ), 53, 1), 'hex'
    )::uuid);
END
$$;

-- The id of an execution's root task follows from the execution's: a UUIDv8 that begins as that does.
CREATE OR REPLACE FUNCTION sql_root_id(execution uuid) RETURNS uuid LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN (SELECT encode(
        set_byte(set_byte(b.bytes, 6, get_byte(b.bytes, 6) & 15 | 128), 8, get_byte(b.bytes, 8) & 63 | 128), 'hex'
    )::uuid
    FROM (
        SELECT substr(uuid_send(execution), 1, 6) || substr(sha256(uuid_send(execution) || int4send(0) || 'root'::bytea), 1, 10) AS bytes
    ) AS b);
END
$$;

-- Routes are in each process's memory until the catalog's version grows. That is raised at the commit, so that nobody waits
-- for a caller's transaction which goes on for long.
CREATE OR REPLACE FUNCTION sql_route_made() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
BEGIN
    IF TG_RELID <> 'routes'::regclass THEN
        RAISE EXCEPTION 'only the store''s own tables have this trigger' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM sql_at_the_end();
    UPDATE catalog SET version = version + 1;
    RETURN NULL;
END
$$;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgrelid = 'routes'::regclass AND t.tgname = 'routes_made') THEN
        CREATE CONSTRAINT TRIGGER routes_made AFTER INSERT ON routes DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION sql_route_made();
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION sql_route(route_queue text, route_function text, route_tags text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    found_id bigint;
BEGIN
    LOOP
        SELECT r.id INTO found_id FROM routes AS r
        WHERE r.function = route_function AND coalesce(r.queue, '') = coalesce(route_queue, '')
            AND coalesce(r.tags, '') = coalesce(route_tags, '');
        EXIT WHEN FOUND;
        INSERT INTO routes (queue, function, tags) VALUES (route_queue, route_function, route_tags)
        ON CONFLICT (function, coalesce(queue, ''), coalesce(tags, '')) DO NOTHING
        RETURNING id INTO found_id;
        IF FOUND THEN
            PERFORM sql_note('routes');
            EXIT;
        END IF;
    END LOOP;
    RETURN found_id;
END
$$;

-- Tags as JSON, each once and in the order of their bytes where they name a route.
CREATE OR REPLACE FUNCTION sql_tags(tags text[], for_route boolean) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN (SELECT '[' || string_agg(to_json(t.tag)::text, ',' ORDER BY CASE WHEN for_route THEN convert_to(t.tag, 'UTF8') END, t.place) || ']'
    FROM (
        SELECT a.tag, min(a.place) AS place
        FROM unnest(tags) WITH ORDINALITY AS a (tag, place)
        GROUP BY a.tag, CASE WHEN NOT for_route THEN a.place END
    ) AS t);
END
$$;

-- Refuses an execution that has gone to another store.
CREATE OR REPLACE FUNCTION sql_moved(what text, execution uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    whither text;
BEGIN
    SELECT m.place INTO whither FROM moves AS m WHERE m.execution_id = execution AND m.place <> 'here';
    IF FOUND THEN
        PERFORM sql_refuse(
            '23505', what || 'execution ' || execution || ' was exported from this store; nothing was started', 'id',
            CASE whither
                WHEN 'fenced' THEN 'Dispatch to the store that it was exported for, or, if it was imported nowhere, take it back (stent exported back).'
                ELSE 'Dispatch to the store where it is.'
            END
        );
    END IF;
END
$$;
