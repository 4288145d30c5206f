-- How often attempts may start: those of a function, and those with one key. As JSON; and of keys the time from one token to
-- the next, in microseconds, and how many tokens there are at most.
ALTER TABLE functions ADD COLUMN rate text;
ALTER TABLE functions ADD COLUMN rate_per_key text;
ALTER TABLE functions ADD COLUMN key_interval bigint;
ALTER TABLE functions ADD COLUMN key_burst bigint;
-- Buckets of tokens. kind: function. full_at: when it is full again; due_at: when the next token is there for somebody who
-- may wait for it.
CREATE TABLE rates (
    kind    text NOT NULL,
    name    text NOT NULL,
    full_at timestamptz NOT NULL,
    due_at  timestamptz,
    PRIMARY KEY (kind, name)
);
-- The same for keys. granted_at: when somebody was last let in; due_at: when to look again.
CREATE TABLE key_rates (
    function        text NOT NULL,
    concurrency_key text NOT NULL,
    full_at         timestamptz NOT NULL,
    granted_at      timestamptz NOT NULL,
    due_at          timestamptz,
    PRIMARY KEY (function, concurrency_key)
);
CREATE INDEX key_rates_due ON key_rates (due_at) WHERE due_at IS NOT NULL;
-- Starts that are not counted there yet: whoever claims waits for no key.
CREATE TABLE key_starts (
    function        text NOT NULL,
    concurrency_key text NOT NULL,
    started_at      timestamptz NOT NULL,
    due_at          timestamptz NOT NULL
);
CREATE INDEX key_starts_key ON key_starts (function, concurrency_key);
CREATE INDEX key_starts_due ON key_starts (due_at);

-- slot, from here on: 0 it waits to start, for a slot and for a token, where there is a rate; 2 it waits to go on, for a slot;
-- 3 it holds a slot, is ready, and takes a token when it starts; 1 it holds one, and is ready or runs.
UPDATE tasks SET slot = 2 WHERE slot = 0 AND started_at IS NOT NULL;

-- For the functions below: temporary tables come last, so that none stands for one of the store's.
SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

DROP FUNCTION slots_fill(text, text, bigint);

-- Gives the slots of a key that are free, and its tokens, to those who wait the longest. So no more can be claimed than there
-- are tokens, which only become more until one is taken. Who is locked by another transaction is passed over: where then
-- something is left that he could have, this one begins again.
CREATE FUNCTION slots_fill(function text, key text, most bigint, every bigint, burst bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    moment timestamptz := clock_timestamp();
    free bigint;
    tokens bigint;
    ready bigint;
    bucket key_rates%ROWTYPE;
    begun timestamptz[];
    start timestamptz;
    missing bigint;
    fresh bigint;
    taken bigint;
    waits boolean;
    next timestamptz;
BEGIN
    IF most IS NOT NULL THEN
        -- each by the index alone, whatever the planner knows of the table
        free := greatest(
            most
            - (
                SELECT count(*) FROM tasks AS t
                WHERE t.step_name = function AND t.concurrency_key = key AND t.slot = 1
            )
            - (
                SELECT count(*) FROM tasks AS t
                WHERE t.step_name = function AND t.concurrency_key = key AND t.slot = 3
            ),
            0
        );
    END IF;
    IF every IS NULL THEN
        IF free = 0 THEN
            RETURN 0;
        END IF;
    ELSE
        SELECT k.* INTO bucket FROM key_rates AS k WHERE k.function = slots_fill.function AND k.concurrency_key = key;
        -- in one look: who is claimed at this moment is ready, or has started
        WITH gone AS (
            DELETE FROM key_starts AS s
            WHERE s.function = slots_fill.function AND s.concurrency_key = key
            RETURNING s.started_at
        )
        SELECT
            (SELECT array_agg(g.started_at ORDER BY g.started_at) FROM gone AS g),
            (
                SELECT count(*) FROM tasks AS t
                WHERE t.step_name = function AND t.concurrency_key = key AND t.slot = 3
            )
        INTO begun, ready;
        bucket.full_at := coalesce(bucket.full_at, 'epoch');
        FOREACH start IN ARRAY coalesce(begun, '{}') LOOP
            bucket.full_at := greatest(bucket.full_at, start) + every * interval '1 microsecond';
        END LOOP;
        -- An empty one is full after that time. It is further away where the clock was set back.
        IF bucket.full_at > moment + every * burst * interval '1 microsecond' + interval '1 minute' THEN
            bucket.full_at := moment + every * burst * interval '1 microsecond';
        END IF;
        missing := greatest((extract(epoch FROM bucket.full_at - moment) * 1000000)::bigint, 0);
        tokens := greatest(burst - (missing + every - 1) / every - ready, 0);
    END IF;
    WITH goes AS (
        SELECT t.id, t.priority, t.created_at
        FROM tasks AS t
        WHERE t.step_name = function AND t.concurrency_key = key AND t.slot = 2
        ORDER BY t.priority DESC, t.created_at, t.id
        LIMIT free
        FOR NO KEY UPDATE SKIP LOCKED
    ),
    starts AS (
        SELECT t.id, t.priority, t.created_at
        FROM tasks AS t
        WHERE t.step_name = function AND t.concurrency_key = key AND t.slot = 0
        ORDER BY t.priority DESC, t.created_at, t.id
        LIMIT least(free, tokens)
        FOR NO KEY UPDATE SKIP LOCKED
    ),
    chosen AS (
        SELECT w.id
        FROM (SELECT g.* FROM goes AS g UNION ALL SELECT s.* FROM starts AS s) AS w
        ORDER BY w.priority DESC, w.created_at, w.id
        LIMIT free
    ),
    given AS (
        UPDATE tasks
        SET slot = CASE WHEN slot = 0 AND every IS NOT NULL THEN 3 ELSE 1 END, lane = route, readied = txid_current()
        WHERE id = ANY(ARRAY(SELECT c.id FROM chosen AS c))
        RETURNING tasks.slot, tasks.started_at
    )
    SELECT count(*), count(*) FILTER (WHERE g.slot = 3) INTO taken, fresh FROM given AS g;
    waits := EXISTS (SELECT 1 FROM tasks AS t WHERE t.step_name = function AND t.concurrency_key = key AND t.slot = 0);
    IF (free IS NULL OR taken < free) AND (
        (waits AND (tokens IS NULL OR fresh < tokens))
        OR EXISTS (SELECT 1 FROM tasks AS t WHERE t.step_name = function AND t.concurrency_key = key AND t.slot = 2)
    ) THEN
        RAISE EXCEPTION 'other transactions have tasks that wait for a slot' USING ERRCODE = 'lock_not_available';
    END IF;
    IF every IS NULL THEN
        RETURN taken;
    END IF;
    ready := ready + fresh;
    IF waits AND ready < burst AND (free IS NULL OR taken < free) THEN
        -- the first moment at which there are more tokens than can be claimed
        missing := missing - (burst - ready - 1) * every;
        next := moment + greatest(missing, 5000) * interval '1 microsecond';
    ELSIF NOT waits AND missing > 0 THEN
        -- it is full then, and as good as none
        next := moment + missing * interval '1 microsecond';
    END IF;
    IF waits OR ready > 0 OR missing > 0 THEN
        INSERT INTO key_rates AS k (function, concurrency_key, full_at, granted_at, due_at)
        VALUES (
            slots_fill.function, key, bucket.full_at,
            CASE WHEN fresh > 0 THEN moment ELSE coalesce(bucket.granted_at, 'epoch') END, next
        )
        ON CONFLICT ON CONSTRAINT key_rates_pkey DO UPDATE
        SET full_at = excluded.full_at, granted_at = excluded.granted_at, due_at = excluded.due_at
        WHERE (k.full_at, k.granted_at, k.due_at) IS DISTINCT FROM (excluded.full_at, excluded.granted_at, excluded.due_at);
    ELSIF bucket.function IS NOT NULL THEN
        DELETE FROM key_rates AS k WHERE k.function = slots_fill.function AND k.concurrency_key = key;
    END IF;
    RETURN taken;
END
$$;

-- The end of a transaction that has touched keys, or what comes of it before. The answer: how many tasks it has made ready.
CREATE OR REPLACE FUNCTION slots_settle() RETURNS bigint LANGUAGE plpgsql SECURITY INVOKER SET search_path FROM CURRENT AS $$
DECLARE
    noted text := current_setting('stent.slots', true);
    here text := current_schema();
    changed text[];
    others text;
    settled text;
    one record;
    most bigint;
    every bigint;
    burst bigint;
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
        SELECT f.max_concurrent_per_key, f.key_interval, f.key_burst INTO most, every, burst
        FROM functions AS f
        WHERE f.name = one.name;
        -- what would start, by another rate or by none, waits again
        UPDATE tasks
        SET slot = 0, lane = NULL, readied = NULL
        WHERE id = ANY(
            ARRAY(
                SELECT t.id
                FROM tasks AS t
                WHERE t.step_name = one.name AND t.lane IS NOT NULL AND t.started_at IS NULL
                    AND (t.slot = 3 OR (t.slot = 1 AND every IS NOT NULL))
                FOR NO KEY UPDATE SKIP LOCKED
            )
        );
        -- what has a slot beyond the limit, and has not begun, waits again
        UPDATE tasks
        SET slot = CASE WHEN started_at IS NULL THEN 0 ELSE 2 END, lane = NULL, readied = NULL
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
        SELECT taken + coalesce(sum(slots_fill(one.name, k.concurrency_key, most, every, burst)), 0) INTO taken
        FROM (
            SELECT DISTINCT t.concurrency_key FROM tasks AS t WHERE t.step_name = one.name AND t.slot IN (0, 2)
        ) AS k;
    END LOOP;
    FOR one IN
        SELECT l.line::jsonb ->> 1 AS function, l.line::jsonb ->> 2 AS key
        FROM unnest(string_to_array(rtrim(noted, E'\n'), E'\n')) AS l (line)
        WHERE l.line::jsonb ->> 0 = here AND l.line::jsonb ->> 2 IS NOT NULL
            AND (l.line::jsonb ->> 1) = ANY(coalesce(changed, '{}')) IS NOT TRUE
    LOOP
        SELECT f.max_concurrent_per_key, f.key_interval, f.key_burst INTO most, every, burst
        FROM functions AS f
        WHERE f.name = one.function;
        taken := taken + slots_fill(one.function, one.key, most, every, burst);
    END LOOP;
    RETURN taken;
END
$$;

CREATE OR REPLACE FUNCTION tasks_slot_insert() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_RELID <> 'tasks'::regclass THEN
        RAISE EXCEPTION 'only the store''s own tables have this trigger' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NEW.state = 'running' THEN
        NEW.slot := 1;
    ELSE
        NEW.slot := CASE WHEN NEW.started_at IS NULL THEN 0 ELSE 2 END;
        NEW.due_at := NULL;
    END IF;
    NEW.lane := NULL;
    PERFORM slots_note(NEW.step_name, NEW.concurrency_key);
    RETURN NEW;
END
$$;

CREATE OR REPLACE FUNCTION tasks_slot_update() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    start timestamptz;
    every bigint;
BEGIN
    IF TG_RELID <> 'tasks'::regclass THEN
        RAISE EXCEPTION 'only the store''s own tables have this trigger' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NEW.slot = 3 AND NEW.state = 'running' AND NEW.lane IS NULL THEN
        -- A transaction may have begun before the one that let it in: it starts no sooner than that.
        UPDATE tasks
        SET slot = 1,
            started_at = greatest(
                started_at,
                (
                    SELECT k.granted_at FROM key_rates AS k
                    WHERE k.function = NEW.step_name AND k.concurrency_key = NEW.concurrency_key
                )
            )
        WHERE id = NEW.id
        RETURNING started_at INTO start;
        SELECT f.key_interval INTO every FROM functions AS f WHERE f.name = NEW.step_name;
        IF every IS NOT NULL THEN
            INSERT INTO key_starts (function, concurrency_key, started_at, due_at)
            VALUES (NEW.step_name, NEW.concurrency_key, start, start + greatest(every, 5000) * interval '1 microsecond');
        END IF;
        RETURN NULL;
    END IF;
    IF NEW.slot = 1 AND NEW.lane IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM functions AS f WHERE f.name = NEW.step_name AND f.key_interval IS NOT NULL
    ) THEN
        -- it begins anew, and keeps its slot where it needs no token
        RETURN NULL;
    END IF;
    UPDATE tasks
    SET slot = CASE
            WHEN state = 'running' THEN 1
            WHEN lane IS NOT NULL AND started_at IS NULL THEN 0
            WHEN lane IS NOT NULL THEN 2
        END,
        due_at = CASE WHEN lane IS NULL THEN due_at END,
        readied = CASE WHEN lane IS NULL THEN readied END,
        lane = NULL
    WHERE id = NEW.id;
    PERFORM slots_note(NEW.step_name, NEW.concurrency_key);
    RETURN NULL;
END
$$;

DROP TRIGGER tasks_slot_update ON tasks;
DROP TRIGGER tasks_slot_updated ON tasks;

-- it runs, or could, without a slot, or without the right to a token; or holds one, or waits for one, and does not run any more
CREATE TRIGGER tasks_slot_update AFTER UPDATE OF state, lane, due_at ON tasks FOR EACH ROW
    WHEN (NEW.concurrency_key IS NOT NULL AND CASE
        WHEN NEW.lane IS NOT NULL THEN
            coalesce(NEW.slot, 0) IN (0, 2) OR (NEW.slot = 1 AND OLD.slot = 1 AND OLD.lane IS NULL AND NEW.started_at IS NULL)
        WHEN NEW.state = 'running' THEN NEW.slot IS DISTINCT FROM 1
        WHEN NEW.slot IN (0, 2) THEN NEW.state <> 'pending' OR NEW.due_at IS NOT NULL
        ELSE NEW.slot IS NOT NULL
    END)
    EXECUTE FUNCTION tasks_slot_update();

CREATE CONSTRAINT TRIGGER tasks_slot_updated AFTER UPDATE OF state, lane, due_at ON tasks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.concurrency_key IS NOT NULL AND CASE
        WHEN NEW.lane IS NOT NULL THEN
            coalesce(NEW.slot, 0) IN (0, 2) OR (NEW.slot = 1 AND OLD.slot = 1 AND OLD.lane IS NULL AND NEW.started_at IS NULL)
        WHEN NEW.state = 'running' THEN NEW.slot IS DISTINCT FROM 1
        WHEN NEW.slot IN (0, 2) THEN NEW.state <> 'pending' OR NEW.due_at IS NOT NULL
        ELSE NEW.slot IS NOT NULL
    END)
    EXECUTE FUNCTION slots_at_the_end();

DROP TRIGGER tasks_slot_delete ON tasks;
DROP TRIGGER tasks_slot_deleted ON tasks;

CREATE TRIGGER tasks_slot_delete AFTER DELETE ON tasks FOR EACH ROW
    WHEN (OLD.slot IN (1, 3))
    EXECUTE FUNCTION tasks_slot_delete();

CREATE CONSTRAINT TRIGGER tasks_slot_deleted AFTER DELETE ON tasks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (OLD.slot IN (1, 3))
    EXECUTE FUNCTION slots_at_the_end();

DROP TRIGGER functions_slot_insert ON functions;
DROP TRIGGER functions_slot_inserted ON functions;
DROP TRIGGER functions_slot_update ON functions;
DROP TRIGGER functions_slot_updated ON functions;
DROP TRIGGER functions_slot_delete ON functions;
DROP TRIGGER functions_slot_deleted ON functions;

CREATE TRIGGER functions_slot_insert AFTER INSERT ON functions FOR EACH ROW
    WHEN (NEW.max_concurrent_per_key IS NOT NULL OR NEW.key_interval IS NOT NULL)
    EXECUTE FUNCTION functions_slot();
CREATE CONSTRAINT TRIGGER functions_slot_inserted AFTER INSERT ON functions DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.max_concurrent_per_key IS NOT NULL OR NEW.key_interval IS NOT NULL)
    EXECUTE FUNCTION slots_at_the_end();
CREATE TRIGGER functions_slot_update AFTER UPDATE OF max_concurrent_per_key, key_interval, key_burst ON functions FOR EACH ROW
    WHEN ((NEW.max_concurrent_per_key, NEW.key_interval, NEW.key_burst)
        IS DISTINCT FROM (OLD.max_concurrent_per_key, OLD.key_interval, OLD.key_burst))
    EXECUTE FUNCTION functions_slot();
CREATE CONSTRAINT TRIGGER functions_slot_updated AFTER UPDATE OF max_concurrent_per_key, key_interval, key_burst ON functions
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN ((NEW.max_concurrent_per_key, NEW.key_interval, NEW.key_burst)
        IS DISTINCT FROM (OLD.max_concurrent_per_key, OLD.key_interval, OLD.key_burst))
    EXECUTE FUNCTION slots_at_the_end();
CREATE TRIGGER functions_slot_delete AFTER DELETE ON functions FOR EACH ROW
    WHEN (OLD.max_concurrent_per_key IS NOT NULL OR OLD.key_interval IS NOT NULL)
    EXECUTE FUNCTION functions_slot();
CREATE CONSTRAINT TRIGGER functions_slot_deleted AFTER DELETE ON functions DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (OLD.max_concurrent_per_key IS NOT NULL OR OLD.key_interval IS NOT NULL)
    EXECUTE FUNCTION slots_at_the_end();

-- What is inserted here notes a key, and is kept nowhere.
CREATE VIEW slots_to_fill AS SELECT NULL::text AS function, NULL::text AS concurrency_key WHERE false;

CREATE FUNCTION slots_to_fill() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_RELID <> 'slots_to_fill'::regclass THEN
        RAISE EXCEPTION 'only the store''s own tables have this trigger' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM slots_note(NEW.function, NEW.concurrency_key);
    -- a rate that is no more
    IF NOT EXISTS (SELECT 1 FROM functions AS f WHERE f.name = NEW.function AND f.key_interval IS NOT NULL) THEN
        DELETE FROM key_starts AS s WHERE s.function = NEW.function AND s.concurrency_key = NEW.concurrency_key;
        DELETE FROM key_rates AS k WHERE k.function = NEW.function AND k.concurrency_key = NEW.concurrency_key;
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER slots_to_fill INSTEAD OF INSERT ON slots_to_fill FOR EACH ROW EXECUTE FUNCTION slots_to_fill();

-- As of the other triggers' functions.
REVOKE ALL ON FUNCTION slots_to_fill() FROM PUBLIC;
