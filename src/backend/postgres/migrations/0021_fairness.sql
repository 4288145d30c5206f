-- How long a task waits to make up for one step of priority, in microseconds; NULL: priorities don't age.
ALTER TABLE functions ADD COLUMN priority_ageing bigint;
-- What is ready, or waits for a slot, is ordered by priority and created_at. A task whose place is another than its own priority
-- and age would give it has these here: asked_priority, made_at. One whose priority ages competes with those of priority 0, by
-- its age and a head start, in microseconds.
ALTER TABLE tasks ADD COLUMN asked_priority bigint;
ALTER TABLE tasks ADD COLUMN made_at timestamptz;
ALTER TABLE tasks ADD COLUMN head_start bigint;
-- Whose it is; empty: of those without a key, in a queue that is shared out. And shared_at: its place in its lane's own time, from
-- when it was ready for the first time.
ALTER TABLE tasks ADD COLUMN fairness_key text;
ALTER TABLE tasks ADD COLUMN fairness_weight double precision;
ALTER TABLE tasks ADD COLUMN shared_at timestamptz;
-- The first that waits in a lane, the last that runs of it, and the last of a key. What is tried again has an old place, which says
-- nothing of the lane's time.
CREATE INDEX tasks_shared ON tasks (lane, priority, shared_at)
    WHERE lane IS NOT NULL AND shared_at IS NOT NULL AND started_at IS NULL AND first_started_at IS NULL;
CREATE INDEX tasks_shared_running ON tasks (route, priority, shared_at) WHERE shared_at IS NOT NULL AND state = 'running';
CREATE INDEX tasks_shared_keys ON tasks (route, priority, fairness_key, shared_at)
    WHERE shared_at IS NOT NULL AND state IN ('pending', 'running');

-- For the functions below: temporary tables come last, so that none stands for one of the store's.
SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- The lane's own time: that of the first that waits there, or of what runs, if that was ahead of it. Where nobody waits, that of
-- the queue's other lanes, so that a function's first task is not behind another's backlog; else the clock's: what keys have had
-- before is forgotten then.
CREATE FUNCTION lane_time(of_lane bigint, of_priority bigint) RETURNS timestamptz LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    first timestamptz;
    running timestamptz;
BEGIN
    SELECT t.shared_at INTO running
    FROM tasks AS t
    WHERE t.route = of_lane AND t.priority = of_priority AND t.shared_at IS NOT NULL AND t.state = 'running'
    ORDER BY t.shared_at DESC
    LIMIT 1;
    SELECT t.shared_at INTO first
    FROM tasks AS t
    WHERE t.lane = of_lane AND t.priority = of_priority AND t.lane IS NOT NULL AND t.shared_at IS NOT NULL
        AND t.started_at IS NULL AND t.first_started_at IS NULL
    ORDER BY t.shared_at
    LIMIT 1;
    IF first IS NULL THEN
        SELECT min(f.shared_at) INTO first
        FROM routes AS own
        JOIN routes AS r ON r.queue IS NOT DISTINCT FROM own.queue
        CROSS JOIN LATERAL (
            SELECT t.shared_at
            FROM tasks AS t
            WHERE t.lane = r.id AND t.priority = of_priority AND t.lane IS NOT NULL AND t.shared_at IS NOT NULL
                AND t.started_at IS NULL AND t.first_started_at IS NULL
            ORDER BY t.shared_at
            LIMIT 1
        ) AS f
        WHERE own.id = of_lane;
    END IF;
    RETURN greatest(running, coalesce(first, clock_timestamp()));
END
$$;

-- What this transaction has made ready gets its places at the end of the transaction, when nothing else is waited for any more.
-- The keys' locks are taken in one order; and as of so many: a transaction with many keys must not need more locks than the
-- server has. Whoever has one of them has committed what it put there before the next looks. (The locks of cancels, routes and
-- slots of keys come before.)
CREATE FUNCTION tasks_share() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    here text := current_schema();
    ids uuid[];
    one record;
    before text;
    next timestamptz;
BEGIN
    IF TG_RELID <> 'tasks'::regclass THEN
        RAISE EXCEPTION 'only the store''s own tables have this trigger' USING ERRCODE = 'insufficient_privilege';
    END IF;
    -- another of its tasks has done it for all
    IF NOT EXISTS (SELECT 1 FROM tasks AS t WHERE t.id = NEW.id AND t.lane IS NOT NULL AND t.shared_at IS NULL) THEN
        RETURN NULL;
    END IF;
    IF coalesce(current_setting('stent.ends', true), '') <> '' AND to_regprocedure('sql_at_the_end()') IS NOT NULL THEN
        PERFORM sql_at_the_end();
    END IF;
    PERFORM slots_settle();
    ids := ARRAY(
        SELECT t.id
        FROM routes AS m
        JOIN routes AS r ON r.queue IS NOT DISTINCT FROM m.queue
        CROSS JOIN LATERAL (
            SELECT t.id
            FROM tasks AS t
            WHERE coalesce(t.lane, 0) = r.id AND coalesce(t.lane, 0) <> 0 AND t.readied = txid_current()
                AND t.fairness_key IS NOT NULL AND t.shared_at IS NULL AND t.started_at IS NULL
            OFFSET 0
        ) AS t
        WHERE m.function = ''
    );
    FOR one IN
        SELECT DISTINCT
            (hashtextextended(here, 18) & ~1023::bigint)
                | (hashtextextended(t.lane || '/' || t.fairness_key, 19) & 1023) AS lock
        FROM tasks AS t
        WHERE t.id = ANY(ids)
        ORDER BY lock
    LOOP
        PERFORM pg_advisory_xact_lock(one.lock);
    END LOOP;
    FOR one IN
        SELECT
            t.id, t.lane, t.priority, t.fairness_key, t.lane || '/' || t.priority || '/' || t.fairness_key AS line,
            round(10000 / coalesce(t.fairness_weight, 1)) AS cost
        FROM tasks AS t
        WHERE t.id = ANY(ids)
        ORDER BY t.lane, t.priority, t.fairness_key, coalesce(t.made_at, t.created_at), t.id
    LOOP
        IF before IS DISTINCT FROM one.line THEN
            SELECT t.shared_at + round(10000 / coalesce(t.fairness_weight, 1)) * interval '1 microsecond' INTO next
            FROM tasks AS t
            WHERE t.route = one.lane AND t.priority = one.priority AND t.fairness_key = one.fairness_key
                AND t.shared_at IS NOT NULL AND t.state IN ('pending', 'running')
            ORDER BY t.shared_at DESC
            LIMIT 1;
            next := greatest(next, lane_time(one.lane, one.priority));
        END IF;
        UPDATE tasks AS t
        SET shared_at = next,
            created_at = next - coalesce(t.head_start, 0) * interval '1 microsecond',
            made_at = coalesce(t.made_at, t.created_at)
        WHERE t.id = one.id;
        next := next + one.cost * interval '1 microsecond';
        before := one.line;
    END LOOP;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER tasks_share_inserted AFTER INSERT ON tasks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.fairness_key IS NOT NULL AND NEW.lane IS NOT NULL AND NEW.shared_at IS NULL AND NEW.started_at IS NULL)
    EXECUTE FUNCTION tasks_share();

CREATE CONSTRAINT TRIGGER tasks_share_updated AFTER UPDATE OF lane ON tasks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.fairness_key IS NOT NULL AND NEW.lane IS NOT NULL AND NEW.shared_at IS NULL AND NEW.started_at IS NULL)
    EXECUTE FUNCTION tasks_share();

-- As of the other triggers' functions.
REVOKE ALL ON FUNCTION lane_time(bigint, bigint), tasks_share() FROM PUBLIC;
