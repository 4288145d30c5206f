-- At most so many tasks of a function run at once that have the same key.
ALTER TABLE functions ADD COLUMN max_concurrent_per_key bigint;
-- Tasks of a function with one key share slots. slot: 1 it holds one, and is ready or leased; 0 it waits for one, in no lane;
-- NULL otherwise. It is the triggers below that give and take them, whatever statement it is that makes a task ready or ends it.
ALTER TABLE tasks ADD COLUMN concurrency_key text;
ALTER TABLE tasks ADD COLUMN slot bigint;
CREATE INDEX tasks_slots ON tasks (step_name, concurrency_key, slot, priority DESC, created_at, id) WHERE slot IS NOT NULL;

-- For the functions below: temporary tables come last, so that none stands for one of the store's.
SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- The triggers' have the rights of the tables' owner: at the end of a transaction whoever has dispatched in it by plain SQL runs
-- them, and need have none. So nobody may call them, or hang them on another table. What workers call has their own rights.
--
-- A row changes at once: what would be ready waits, and what runs no more has no slot. Who gets the slots that are free then is
-- decided at the end of the transaction, when it has locked the keys that it has touched, in one order. Until then they are
-- noted in a setting of the transaction: a line for each, with the schema; without a key a function whose limit has changed.
CREATE FUNCTION slots_note(function text, key text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    noted text := coalesce(current_setting('stent.slots', true), '');
    line text := jsonb_build_array(current_schema(), function, key)::text || E'\n';
BEGIN
    IF strpos(E'\n' || noted, E'\n' || line) = 0 THEN
        PERFORM set_config('stent.slots', noted || line, true);
    END IF;
END
$$;

-- Gives the slots of a key that are free to those who wait the longest. Who is locked by another transaction is passed over:
-- where then a slot is left that he could have, this one begins again.
CREATE FUNCTION slots_fill(function text, key text, most bigint) RETURNS bigint LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    free bigint;
    taken bigint;
BEGIN
    IF most IS NOT NULL THEN
        SELECT most - count(*) INTO free FROM tasks AS t WHERE t.step_name = function AND t.concurrency_key = key AND t.slot = 1;
        IF free <= 0 THEN
            RETURN 0;
        END IF;
    END IF;
    UPDATE tasks
    SET slot = 1, lane = route, readied = txid_current()
    WHERE id = ANY(
        ARRAY(
            SELECT t.id
            FROM tasks AS t
            WHERE t.step_name = function AND t.concurrency_key = key AND t.slot = 0
            ORDER BY t.priority DESC, t.created_at, t.id
            LIMIT free
            FOR NO KEY UPDATE SKIP LOCKED
        )
    );
    GET DIAGNOSTICS taken = ROW_COUNT;
    IF (free IS NULL OR taken < free) AND EXISTS (
        SELECT 1 FROM tasks AS t WHERE t.step_name = function AND t.concurrency_key = key AND t.slot = 0
    ) THEN
        RAISE EXCEPTION 'other transactions have tasks that wait for a slot' USING ERRCODE = 'lock_not_available';
    END IF;
    RETURN taken;
END
$$;

-- The end of a transaction that has touched keys, or what comes of it before. The answer: how many tasks it has made ready.
CREATE FUNCTION slots_settle() RETURNS bigint LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    noted text := current_setting('stent.slots', true);
    here text := current_schema();
    changed text[];
    others text;
    settled text;
    one record;
    most bigint;
    taken bigint := 0;
BEGIN
    IF noted IS NULL OR noted = '' THEN
        RETURN 0;
    END IF;
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE EXCEPTION 'tasks with a concurrency_key need a transaction that is READ COMMITTED'
            USING ERRCODE = 'feature_not_supported', DETAIL = 'STENT_E_UNSUPPORTED', HINT = 'Begin it with ISOLATION LEVEL READ COMMITTED.';
    END IF;
    SELECT string_agg(l.line || E'\n', '') INTO others
    FROM unnest(string_to_array(rtrim(noted, E'\n'), E'\n')) AS l (line)
    WHERE l.line::jsonb ->> 0 <> here;
    PERFORM set_config('stent.slots', coalesce(others, ''), true);
    SELECT string_agg(l.line || E'\n', '') INTO settled
    FROM unnest(string_to_array(rtrim(noted, E'\n'), E'\n')) AS l (line)
    WHERE l.line::jsonb ->> 0 = here;
    PERFORM set_config('stent.settled', coalesce(current_setting('stent.settled', true), '') || coalesce(settled, ''), true);
    SELECT array_agg(l.line::jsonb ->> 1) INTO changed
    FROM unnest(string_to_array(rtrim(noted, E'\n'), E'\n')) AS l (line)
    WHERE l.line::jsonb ->> 0 = here AND l.line::jsonb ->> 2 IS NULL;
    -- a limit changes when nobody settles keys of the function
    FOR one IN
        SELECT DISTINCT hashtextextended(here || '/' || (l.line::jsonb ->> 1), 15) AS lock,
            (l.line::jsonb ->> 1) = ANY(changed) AS alone
        FROM unnest(string_to_array(rtrim(noted, E'\n'), E'\n')) AS l (line)
        WHERE l.line::jsonb ->> 0 = here
        ORDER BY lock, alone DESC NULLS LAST
    LOOP
        IF one.alone THEN
            PERFORM pg_advisory_xact_lock(one.lock);
        ELSE
            PERFORM pg_advisory_xact_lock_shared(one.lock);
        END IF;
    END LOOP;
    -- as one of so many: a transaction that touches all keys there are must not need more locks than the server has
    FOR one IN
        SELECT DISTINCT
            (hashtextextended(here, 16) & ~1023::bigint)
                | (hashtextextended((l.line::jsonb ->> 1) || '/' || (l.line::jsonb ->> 2), 17) & 1023) AS lock
        FROM unnest(string_to_array(rtrim(noted, E'\n'), E'\n')) AS l (line)
        WHERE l.line::jsonb ->> 0 = here AND l.line::jsonb ->> 2 IS NOT NULL
        ORDER BY lock
    LOOP
        PERFORM pg_advisory_xact_lock(one.lock);
    END LOOP;
    FOR one IN
        SELECT f.name FROM unnest(changed) AS f (name) ORDER BY f.name
    LOOP
        SELECT f.max_concurrent_per_key INTO most FROM functions AS f WHERE f.name = one.name;
        -- what has a slot beyond the limit, and has not begun, waits again
        UPDATE tasks
        SET slot = 0, lane = NULL, readied = NULL
        WHERE most IS NOT NULL AND id = ANY(
            ARRAY(
                SELECT t.id
                FROM tasks AS t
                WHERE t.lane IS NOT NULL AND t.slot = 1 AND t.id = ANY(
                    ARRAY(
                        SELECT s.id
                        FROM (
                            SELECT
                                h.id, h.lane,
                                row_number() OVER (
                                    PARTITION BY h.concurrency_key
                                    ORDER BY h.lane IS NOT NULL, h.priority DESC, h.created_at, h.id
                                ) AS place
                            FROM tasks AS h
                            WHERE h.step_name = one.name AND h.slot = 1
                        ) AS s
                        WHERE s.lane IS NOT NULL AND s.place > most
                    )
                )
                FOR NO KEY UPDATE SKIP LOCKED
            )
        );
        SELECT taken + coalesce(sum(slots_fill(one.name, k.concurrency_key, most)), 0) INTO taken
        FROM (
            SELECT DISTINCT t.concurrency_key FROM tasks AS t WHERE t.step_name = one.name AND t.slot = 0
        ) AS k;
    END LOOP;
    FOR one IN
        SELECT l.line::jsonb ->> 1 AS function, l.line::jsonb ->> 2 AS key
        FROM unnest(string_to_array(rtrim(noted, E'\n'), E'\n')) AS l (line)
        WHERE l.line::jsonb ->> 0 = here AND l.line::jsonb ->> 2 IS NOT NULL
            AND (l.line::jsonb ->> 1) = ANY(coalesce(changed, '{}')) IS NOT TRUE
    LOOP
        SELECT f.max_concurrent_per_key INTO most FROM functions AS f WHERE f.name = one.function;
        taken := taken + slots_fill(one.function, one.key, most);
    END LOOP;
    RETURN taken;
END
$$;

CREATE FUNCTION slots_at_the_end() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    function text;
    key text;
    settles boolean := true;
BEGIN
    IF TG_RELID NOT IN ('tasks'::regclass, 'functions'::regclass) THEN
        RAISE EXCEPTION 'only the store''s own tables have this trigger' USING ERRCODE = 'insufficient_privilege';
    END IF;
    -- Its own key, or function, whatever has become of the notes: whose transaction it is may have reset all settings.
    IF TG_RELID = 'tasks'::regclass THEN
        function := coalesce(NEW.step_name, OLD.step_name);
        key := coalesce(NEW.concurrency_key, OLD.concurrency_key);
        -- what runs, or has a slot to run in, leaves none to others
        settles := (NEW.state = 'running' OR (NEW.slot = 1 AND NEW.lane IS NOT NULL)) IS NOT TRUE;
    ELSE
        function := coalesce(NEW.name, OLD.name);
    END IF;
    IF settles AND strpos(
        E'\n' || coalesce(current_setting('stent.settled', true), ''),
        E'\n' || jsonb_build_array(current_schema(), function, key)::text || E'\n'
    ) = 0 THEN
        PERFORM slots_note(function, key);
    END IF;
    -- what the functions for SQL do in the end comes before, if they are there
    IF coalesce(current_setting('stent.ends', true), '') <> '' AND to_regprocedure('sql_at_the_end()') IS NOT NULL THEN
        PERFORM sql_at_the_end();
    END IF;
    PERFORM slots_settle();
    RETURN NULL;
END
$$;

CREATE FUNCTION tasks_slot_insert() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_RELID <> 'tasks'::regclass THEN
        RAISE EXCEPTION 'only the store''s own tables have this trigger' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NEW.state = 'running' THEN
        NEW.slot := 1;
    ELSE
        NEW.slot := 0;
        NEW.due_at := NULL;
    END IF;
    NEW.lane := NULL;
    PERFORM slots_note(NEW.step_name, NEW.concurrency_key);
    RETURN NEW;
END
$$;

CREATE TRIGGER tasks_slot_insert BEFORE INSERT ON tasks FOR EACH ROW
    WHEN (NEW.concurrency_key IS NOT NULL AND (NEW.lane IS NOT NULL OR NEW.state = 'running'))
    EXECUTE FUNCTION tasks_slot_insert();

CREATE CONSTRAINT TRIGGER tasks_slot_inserted AFTER INSERT ON tasks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.slot IS NOT NULL)
    EXECUTE FUNCTION slots_at_the_end();

-- After and not before: a trigger before an update locks every row that is updated.
CREATE FUNCTION tasks_slot_update() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_RELID <> 'tasks'::regclass THEN
        RAISE EXCEPTION 'only the store''s own tables have this trigger' USING ERRCODE = 'insufficient_privilege';
    END IF;
    UPDATE tasks
    SET slot = CASE WHEN state = 'running' THEN 1 WHEN lane IS NOT NULL THEN 0 END,
        due_at = CASE WHEN lane IS NULL THEN due_at END,
        readied = CASE WHEN lane IS NULL THEN readied END,
        lane = NULL
    WHERE id = NEW.id;
    PERFORM slots_note(NEW.step_name, NEW.concurrency_key);
    RETURN NULL;
END
$$;

-- it runs, or could, without a slot; or holds one, or waits for one, and does not run any more
CREATE TRIGGER tasks_slot_update AFTER UPDATE OF state, lane, due_at ON tasks FOR EACH ROW
    WHEN (NEW.concurrency_key IS NOT NULL AND CASE
        WHEN NEW.lane IS NOT NULL OR NEW.state = 'running' THEN NEW.slot IS DISTINCT FROM 1
        WHEN NEW.slot = 0 THEN NEW.state <> 'pending' OR NEW.due_at IS NOT NULL
        ELSE NEW.slot IS NOT NULL
    END)
    EXECUTE FUNCTION tasks_slot_update();

CREATE CONSTRAINT TRIGGER tasks_slot_updated AFTER UPDATE OF state, lane, due_at ON tasks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.concurrency_key IS NOT NULL AND CASE
        WHEN NEW.lane IS NOT NULL OR NEW.state = 'running' THEN NEW.slot IS DISTINCT FROM 1
        WHEN NEW.slot = 0 THEN NEW.state <> 'pending' OR NEW.due_at IS NOT NULL
        ELSE NEW.slot IS NOT NULL
    END)
    EXECUTE FUNCTION slots_at_the_end();

CREATE FUNCTION tasks_slot_delete() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_RELID <> 'tasks'::regclass THEN
        RAISE EXCEPTION 'only the store''s own tables have this trigger' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM slots_note(OLD.step_name, OLD.concurrency_key);
    RETURN NULL;
END
$$;

CREATE TRIGGER tasks_slot_delete AFTER DELETE ON tasks FOR EACH ROW
    WHEN (OLD.slot = 1)
    EXECUTE FUNCTION tasks_slot_delete();

CREATE CONSTRAINT TRIGGER tasks_slot_deleted AFTER DELETE ON tasks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (OLD.slot = 1)
    EXECUTE FUNCTION slots_at_the_end();

CREATE FUNCTION functions_slot() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_RELID <> 'functions'::regclass THEN
        RAISE EXCEPTION 'only the store''s own tables have this trigger' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM slots_note(coalesce(NEW.name, OLD.name), NULL);
    RETURN NULL;
END
$$;

CREATE TRIGGER functions_slot_insert AFTER INSERT ON functions FOR EACH ROW
    WHEN (NEW.max_concurrent_per_key IS NOT NULL)
    EXECUTE FUNCTION functions_slot();
CREATE CONSTRAINT TRIGGER functions_slot_inserted AFTER INSERT ON functions DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.max_concurrent_per_key IS NOT NULL)
    EXECUTE FUNCTION slots_at_the_end();
CREATE TRIGGER functions_slot_update AFTER UPDATE OF max_concurrent_per_key ON functions FOR EACH ROW
    WHEN (NEW.max_concurrent_per_key IS DISTINCT FROM OLD.max_concurrent_per_key)
    EXECUTE FUNCTION functions_slot();
CREATE CONSTRAINT TRIGGER functions_slot_updated AFTER UPDATE OF max_concurrent_per_key ON functions
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.max_concurrent_per_key IS DISTINCT FROM OLD.max_concurrent_per_key)
    EXECUTE FUNCTION slots_at_the_end();
CREATE TRIGGER functions_slot_delete AFTER DELETE ON functions FOR EACH ROW
    WHEN (OLD.max_concurrent_per_key IS NOT NULL)
    EXECUTE FUNCTION functions_slot();
CREATE CONSTRAINT TRIGGER functions_slot_deleted AFTER DELETE ON functions DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (OLD.max_concurrent_per_key IS NOT NULL)
    EXECUTE FUNCTION slots_at_the_end();

-- Firing a trigger needs no right on its function; hanging it on another table does.
REVOKE ALL ON FUNCTION
    slots_note(text, text), slots_at_the_end(), tasks_slot_insert(), tasks_slot_update(), tasks_slot_delete(), functions_slot()
    FROM PUBLIC;
