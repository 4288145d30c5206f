-- Nobody of a function with this key starts before that time; without a key ('') nobody of the function. A handler has said so.
CREATE TABLE holds (
    function        text NOT NULL,
    concurrency_key text NOT NULL,
    ends_at         timestamptz NOT NULL,
    PRIMARY KEY (function, concurrency_key)
);
CREATE INDEX holds_by_end ON holds (ends_at);

-- For the function below: temporary tables come last, so that none stands for one of the store's.
SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

-- Gives the slots of a key that are free, and its tokens, to those who wait the longest. So no more can be claimed than there
-- are tokens, which only become more until one is taken. Who is locked by another transaction is passed over: where then
-- something is left that he could have, this one begins again. Of a key that is held nobody is let in to start.
CREATE OR REPLACE FUNCTION slots_fill(function text, key text, most bigint, every bigint, burst bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY INVOKER SET search_path FROM CURRENT AS $$
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
    held timestamptz;
BEGIN
    SELECT h.ends_at INTO held FROM holds AS h
    WHERE h.function = slots_fill.function AND h.concurrency_key = key AND h.ends_at > moment;
    IF held IS NOT NULL THEN
        -- who was let in and has not begun waits again
        UPDATE tasks
        SET slot = 0, lane = NULL, readied = NULL
        WHERE id = ANY(
            ARRAY(
                SELECT t.id
                FROM tasks AS t
                WHERE t.step_name = function AND t.concurrency_key = key AND t.slot IN (1, 3)
                    AND t.lane IS NOT NULL AND t.started_at IS NULL
                FOR NO KEY UPDATE SKIP LOCKED
            )
        );
    END IF;
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
    IF held IS NOT NULL THEN
        tokens := 0;
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
        next := greatest(moment + greatest(missing, 5000) * interval '1 microsecond', held);
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

-- Who begins anew keeps his slot, but not where his key is held by now: that is known once the key is locked, at the commit.
CREATE FUNCTION tasks_slot_anew() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_RELID <> 'tasks'::regclass THEN
        RAISE EXCEPTION 'only the store''s own tables have this trigger' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM slots_note(NEW.step_name, NEW.concurrency_key);
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION tasks_slot_anew() FROM PUBLIC;

CREATE TRIGGER tasks_slot_anew AFTER UPDATE OF state, lane, due_at ON tasks FOR EACH ROW
    WHEN (
        NEW.concurrency_key IS NOT NULL AND NEW.slot = 1 AND OLD.slot = 1 AND OLD.lane IS NULL AND NEW.lane IS NOT NULL
        AND NEW.started_at IS NULL
    )
    EXECUTE FUNCTION tasks_slot_anew();
