-- Signals and cancels are asked for in the caller's transaction, and carried out right after its commit, by whoever sweeps:
-- what they touch is others' work, which must not wait for a caller's transaction.

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
        PERFORM sql_refuse('55000', 'signal: execution ' || execution || ' is being cancelled', 'execution', 'Only one that goes on takes signals.');
    END IF;
    INSERT INTO requests (kind, execution_id, created_at, name, id, payload)
    VALUES ('signal', execution, clock_timestamp(), sql_stored(signal_name), sql_stored(sending), payload);
    PERFORM sql_tell('d0');
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
    VALUES ('cancel', execution, clock_timestamp(), sql_stored(cancel_reason));
    PERFORM sql_tell('d0');
END
$$;
