-- Signals and cancels are asked for in the caller's transaction, and carried out right after its commit, by whoever sweeps:
-- what they touch is others' work, which must not wait for a caller's transaction. At the commit it is looked whether they still
-- can be, and a cancel begins: from then on nothing of the execution is claimed or recorded.

CREATE OR REPLACE FUNCTION sql_begin_cancel(uuid, text) RETURNS void LANGUAGE sql AS $$
{execution_cancel}
$$;

-- Whoever writes a result at the same moment finds this on its task, or has been first.
CREATE OR REPLACE FUNCTION sql_stop(uuid[]) RETURNS void LANGUAGE sql AS $$
{tasks_stop}
$$;

-- All that this transaction cancels, in the order of locks.
CREATE OR REPLACE FUNCTION sql_begin_cancels() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    asked record;
    begun uuid[] := '{}';
BEGIN
    FOR asked IN
        SELECT DISTINCT ON (r.execution_id) r.execution_id, r.reason
        FROM requests AS r
        WHERE r.kind = 'cancel'
        ORDER BY r.execution_id, r.sequence
    LOOP
        PERFORM sql_begin_cancel(asked.execution_id, asked.reason);
        begun := array_append(begun, asked.execution_id);
    END LOOP;
    PERFORM sql_stop(begun);
END
$$;

CREATE OR REPLACE FUNCTION sql_asked() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER {settings} AS $$
BEGIN
    IF TG_RELID <> 'requests'::regclass THEN
        RAISE EXCEPTION 'only the store''s own tables have this trigger' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM sql_at_the_end();
    IF NEW.kind = 'step' THEN
        PERFORM sql_step_recorded(NEW.sequence, NEW.name, NEW.payload);
        RETURN NULL;
    END IF;
    IF NEW.kind = 'signal' THEN
        PERFORM FROM executions AS e WHERE e.id = NEW.execution_id AND e.state IN ('pending', 'running', 'cancelling');
    ELSE
        PERFORM FROM executions AS e WHERE e.id = NEW.execution_id AND (e.state = 'cancelling' OR e.ending IS NOT NULL);
        IF NOT FOUND THEN
            PERFORM sql_begin_cancels();
            PERFORM FROM executions AS e WHERE e.id = NEW.execution_id AND (e.state = 'cancelling' OR e.ending IS NOT NULL);
        END IF;
    END IF;
    IF NOT FOUND THEN
        PERFORM sql_refuse(
            '55000', NEW.kind || ': execution ' || NEW.execution_id || ' has ended since it was asked for', 'execution',
            'Nothing of this transaction is there; begin it again.'
        );
    END IF;
    RETURN NULL;
END
$$;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgrelid = 'requests'::regclass AND t.tgname = 'requests_asked') THEN
        CREATE CONSTRAINT TRIGGER requests_asked AFTER INSERT ON requests DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION sql_asked();
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION sql_ask(what text, execution uuid, OUT state text, OUT ending text) LANGUAGE plpgsql AS $$
BEGIN
    IF execution IS NULL THEN
        PERFORM sql_refuse('22023', what || ': execution is null', 'execution', 'Give the execution''s id, which dispatch returned.');
    END IF;
    -- It does not leave before this is committed; all else of it goes on.
    SELECT e.state, e.ending INTO state, ending FROM executions AS e WHERE e.id = execution FOR KEY SHARE;
    IF NOT FOUND THEN
        PERFORM sql_refuse('P0002', what || ': there is no execution ' || execution, 'execution', 'Its id is wrong, or it has been cleaned up.');
    END IF;
    IF state IN ('pending', 'running') THEN
        -- by this very transaction
        PERFORM FROM requests AS r WHERE r.execution_id = execution AND r.kind = 'cancel';
        IF FOUND THEN
            state := 'cancelling';
        END IF;
    END IF;
    IF state NOT IN ('pending', 'running', 'cancelling') THEN
        PERFORM sql_refuse('55000', what || ': execution ' || execution || ' is ' || state || ' already', 'execution', 'Only one that goes on can be asked for anything.');
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION sql_signal(execution uuid, signal_name text, payload_json text, options_json text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    known text[] := {signal_names};
    what text := 'signal options: ';
    names text[];
    given_values text[];
    sending text;
    payload bytea;
    asked record;
BEGIN
    PERFORM sql_name('', 'signal', signal_name);
    payload := sql_payload(sql_json('payload', 'payload', coalesce(payload_json, 'null')));
    options_json := coalesce(nullif(btrim(options_json, E' \t\n\r'), ''), '{}');
    SELECT m.names, m.given_values INTO names, given_values
    FROM sql_members('signal options', known, sql_json('signal options', NULL, options_json)) AS m;
    FOR place IN 1 .. cardinality(names) LOOP
        CONTINUE WHEN given_values[place] = 'null';
        IF names[place] <> 'id' THEN
            PERFORM sql_refuse('0A000', what || names[place] || ' can''t be given here', names[place], 'Signal by the library.');
        END IF;
        sending := sql_text(what, 'id', given_values[place]);
        PERFORM sql_name(what, 'id', sending);
    END LOOP;
    SELECT * INTO asked FROM sql_ask('signal', execution);
    IF asked.state = 'cancelling' THEN
        PERFORM sql_refuse('55000', 'signal: execution ' || execution || ' is cancelling', 'execution', 'Only one that goes on takes signals.');
    END IF;
    INSERT INTO requests (kind, execution_id, created_at, name, id, payload)
    VALUES ('signal', execution, clock_timestamp(), sql_stored(signal_name), sql_stored(sending), payload);
    PERFORM sql_tell('d0');
END
$$;

-- A reason is cut as the library cuts it.
CREATE OR REPLACE FUNCTION sql_cut(given text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    bytes bytea := convert_to(given, 'UTF8');
    told text := ' ... (cut: ' || octet_length(bytes) || ' bytes)';
    most int := {error_text_max} - octet_length(told);
BEGIN
    IF octet_length(bytes) <= {error_text_max} THEN
        RETURN given;
    END IF;
    -- not within a character
    WHILE get_byte(bytes, most) BETWEEN 128 AND 191 LOOP
        most := most - 1;
    END LOOP;
    RETURN convert_from(substr(bytes, 1, most), 'UTF8') || told;
END
$$;

CREATE OR REPLACE FUNCTION sql_cancel(execution uuid, cancel_reason text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    asked record;
BEGIN
    SELECT * INTO asked FROM sql_ask('cancel', execution);
    IF asked.state = 'cancelling' OR asked.ending IS NOT NULL THEN
        RETURN;
    END IF;
    INSERT INTO requests (kind, execution_id, created_at, reason)
    VALUES ('cancel', execution, clock_timestamp(), sql_stored(sql_cut(cancel_reason)));
    PERFORM sql_note('cancels');
    PERFORM sql_tell('d0');
    PERFORM sql_tell('c' || replace(execution::text, '-', ''));
END
$$;
