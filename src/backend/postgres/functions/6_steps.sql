-- A handler's step, recorded by the handler's own transaction. Whether the task is still its run's is looked at when it is said, and
-- decided at the commit, as the last of all: the task's rows are locked only then, so that a transaction which stays open for long
-- holds up no worker.

-- UTF-8 as the tables hold text, whatever the database's encoding.
CREATE OR REPLACE FUNCTION sql_stored_utf8(bytes bytea) RETURNS text LANGUAGE plpgsql STABLE STRICT AS $$
DECLARE
    place int := 0;
    size int;
    code int;
    stored text := '';
BEGIN
    IF getdatabaseencoding() = 'UTF8' THEN
        RETURN sql_stored(convert_from(bytes, 'UTF8'));
    ELSIF getdatabaseencoding() = 'SQL_ASCII' THEN
        RETURN sql_stored(convert_from(bytes, 'SQL_ASCII'));
    END IF;
    WHILE place < octet_length(bytes) LOOP
        code := get_byte(bytes, place);
        size := CASE WHEN code < 128 THEN 1 WHEN code < 224 THEN 2 WHEN code < 240 THEN 3 ELSE 4 END;
        code := CASE size WHEN 1 THEN code WHEN 2 THEN code & 31 WHEN 3 THEN code & 15 ELSE code & 7 END;
        FOR spot IN place + 1 .. place + size - 1 LOOP
            code := code * 64 + (get_byte(bytes, spot) & 63);
        END LOOP;
        stored := stored || CASE
            WHEN code < 127 THEN chr(code)
            WHEN code BETWEEN 128 AND 255 AND getdatabaseencoding() = 'LATIN1' THEN chr(code)
            ELSE chr(127) || to_hex(code) || ';'
        END;
        place := place + size;
    END LOOP;
    RETURN stored;
END
$$;

-- What a token says: the form is the library's own.
CREATE OR REPLACE FUNCTION sql_token(
    token text, OUT task uuid, OUT execution uuid, OUT fence bigint, OUT op bigint, OUT id uuid, OUT started_at timestamptz,
    OUT step_key text, OUT step_name text
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    parts text[] := string_to_array(token, '.');
BEGIN
    IF token IS NULL
        OR token !~ '^1[.][0-9a-f]{32}[.][0-9a-f]{32}[.][0-9]{1,18}[.][0-9]{1,10}[.][0-9a-f]{32}[.][0-9]{1,18}([.]([0-9a-f][0-9a-f])+){2}$'
    THEN
        PERFORM sql_refuse('22023', 'token: this is none that stent_task_transaction_begin has given', 'token', 'Give it as it is.');
    END IF;
    task := parts[2];
    execution := parts[3];
    fence := parts[4];
    op := parts[5];
    id := parts[6];
    started_at := timestamptz 'epoch' + parts[7]::bigint * interval '1 microsecond';
    step_key := sql_stored_utf8(decode(parts[8], 'hex'));
    step_name := sql_stored_utf8(decode(parts[9], 'hex'));
END
$$;

-- Refuses what the task's worker could not record either.
CREATE OR REPLACE FUNCTION sql_step_stands(of_task uuid, of_execution uuid, of_fence bigint, of_id uuid, step text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    found_task record;
BEGIN
    PERFORM FROM tasks AS t WHERE t.id = of_id;
    IF FOUND THEN
        PERFORM sql_refuse('23505', 'record_step: step ' || step || ' is recorded already', 'token', 'Record each step once.');
    END IF;
    SELECT t.state, t.fence, t.stopped, e.state AS execution_state INTO found_task
    FROM tasks AS t
    JOIN executions AS e ON e.id = t.execution_id
    WHERE t.id = of_task AND t.execution_id = of_execution;
    IF found_task.fence = of_fence AND found_task.state = 'running' AND (found_task.stopped OR found_task.execution_state = 'cancelling') THEN
        PERFORM sql_refuse('57014', 'record_step: the execution of step ' || step || ' is cancelled', 'token', 'Roll back.');
    END IF;
    IF found_task.fence IS DISTINCT FROM of_fence OR found_task.state <> 'running' OR found_task.execution_state NOT IN ('pending', 'running') THEN
        PERFORM sql_refuse('55006', 'record_step: the task of step ' || step || ' is not this run''s any more', 'token', 'Roll back.');
    END IF;
END
$$;

-- Is the record the only one in its transaction? A server does not say whether a transaction was begun; but one in which nothing
-- was changed, and no table looked at, is no step's: its work has been committed before. Must be asked before a table is looked at.
CREATE OR REPLACE FUNCTION sql_step_is_alone() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RETURN txid_current_if_assigned() IS NULL AND NOT EXISTS (
        SELECT FROM pg_locks AS l WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.relation >= 16384
    );
END
$$;

CREATE OR REPLACE FUNCTION sql_record_step(token text, result_json text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    told record;
    result bytea;
BEGIN
    SELECT * INTO told FROM sql_token(token);
    result := sql_payload(sql_json('result', 'result', coalesce(result_json, 'null')));
    IF sql_step_is_alone() THEN
        PERFORM sql_refuse(
            '25P01', 'record_step: the step''s work is not in this transaction, in which nothing was done before', 'token',
            'BEGIN, do the work, record the step as the last of that transaction, and COMMIT. Autocommit commits each statement '
                'by itself. Where there is no work to be done, SELECT txid_current() in its place.'
        );
    END IF;
    PERFORM sql_step_stands(told.task, told.execution, told.fence, told.id, told.step_name || ' (' || told.step_key || ')');
    INSERT INTO requests (kind, execution_id, created_at, name, payload) VALUES ('step', told.execution, clock_timestamp(), token, result);
END
$$;

-- At the commit.
CREATE OR REPLACE FUNCTION sql_step_recorded(request bigint, token text, result bytea) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    told record;
    number bigint;
BEGIN
    SELECT * INTO told FROM sql_token(token);
    DELETE FROM requests AS r WHERE r.sequence = request;
    INSERT INTO waits (task_id) VALUES (told.task) ON CONFLICT (task_id) DO NOTHING;
    PERFORM FROM waits AS w WHERE w.task_id = told.task FOR UPDATE;
    UPDATE tasks AS t
    SET ops = t.ops + 1, aside = coalesce(t.aside, 0) + 1, crashes = 0, company = NULL
    WHERE t.id = told.task AND t.execution_id = told.execution AND t.fence = told.fence AND t.state = 'running' AND t.stopped IS NULL
        AND (SELECT e.state FROM executions AS e WHERE e.id = t.execution_id) IN ('pending', 'running');
    IF NOT FOUND THEN
        PERFORM sql_step_stands(told.task, told.execution, told.fence, told.id, told.step_name || ' (' || told.step_key || ')');
        PERFORM sql_refuse('55006', 'record_step: the task of step ' || told.step_name || ' is not this run''s any more', 'token', 'Begin again.');
    END IF;
    UPDATE waits AS w SET arrivals = w.arrivals + 1 WHERE w.task_id = told.task RETURNING w.arrivals INTO number;
    INSERT INTO tasks (
        id, execution_id, parent_task_id, step_name, step_key, kind, state, priority, created_at, started_at, completed_at, op, arrival, result
    ) VALUES (
        told.id, told.execution, told.task, told.step_name, told.step_key, 'step', 'completed', 0, clock_timestamp(), told.started_at,
        clock_timestamp(), told.op, number, result
    )
    ON CONFLICT (id) DO NOTHING;
    IF NOT FOUND THEN
        PERFORM sql_step_stands(told.task, told.execution, told.fence, told.id, told.step_name || ' (' || told.step_key || ')');
    END IF;
END
$$;
