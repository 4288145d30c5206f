-- How often attempts may start: those of a function, and those with one key. As JSON; and of keys the time from one token to
-- the next, in microseconds, and how many tokens there are at most.
ALTER TABLE functions ADD COLUMN rate TEXT;
ALTER TABLE functions ADD COLUMN rate_per_key TEXT;
ALTER TABLE functions ADD COLUMN key_interval INTEGER;
ALTER TABLE functions ADD COLUMN key_burst INTEGER;
-- Buckets of tokens. kind: function. full_at: when it is full again; due_at: when the next token is there for somebody who
-- may wait for it.
CREATE TABLE rates (
    kind    TEXT NOT NULL,
    name    TEXT NOT NULL,
    full_at INTEGER NOT NULL,
    due_at  INTEGER,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;
-- The same for keys. granted_at: when somebody was last let in; due_at: when to look again.
CREATE TABLE key_rates (
    function        TEXT NOT NULL,
    concurrency_key TEXT NOT NULL,
    full_at         INTEGER NOT NULL,
    granted_at      INTEGER NOT NULL,
    due_at          INTEGER,
    PRIMARY KEY (function, concurrency_key)
) WITHOUT ROWID;
CREATE INDEX key_rates_due ON key_rates (due_at) WHERE due_at IS NOT NULL;

-- slot, from here on: 0 it waits to start, for a slot and for a token, where there is a rate; 2 it waits to go on, for a slot;
-- 3 it holds a slot, is ready, and takes a token when it starts; 1 it holds one, and is ready or runs.
UPDATE tasks SET slot = 2 WHERE slot = 0 AND started_at IS NOT NULL;

DROP TRIGGER slots_fill;
DROP TRIGGER tasks_slot_insert;
DROP TRIGGER tasks_slot_update;
DROP TRIGGER tasks_slot_delete;
DROP TRIGGER slots_share;
DROP TRIGGER functions_slot_insert;
DROP TRIGGER functions_slot_update;
DROP TRIGGER functions_slot_delete;
DROP VIEW slots_to_share;

-- As `slots_to_fill`: the steps of giving. A key's slots and tokens that are free are counted, then given to those who wait the
-- longest; so no more can be claimed than there are tokens, which only become more until one is taken. No limit: a number
-- that no table has rows for. The wall clock, in microseconds.
CREATE VIEW slots_to_count AS
SELECT NULL AS function, NULL AS concurrency_key, NULL AS most, NULL AS every, NULL AS burst, NULL AS moment WHERE false;
CREATE VIEW slots_to_give AS
SELECT NULL AS function, NULL AS concurrency_key, NULL AS free, NULL AS tokens, NULL AS every WHERE false;

CREATE TRIGGER slots_fill INSTEAD OF INSERT ON slots_to_fill
BEGIN
    INSERT INTO slots_to_count (function, concurrency_key, most, every, burst, moment)
    SELECT
        NEW.function, NEW.concurrency_key, f.max_concurrent_per_key, f.key_interval, f.key_burst,
        CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)
    FROM (SELECT 1) AS one
    LEFT JOIN functions AS f ON f.name = NEW.function;
END;

CREATE TRIGGER slots_count INSTEAD OF INSERT ON slots_to_count
BEGIN
    -- An empty bucket is full after that time. It is further away where the clock was set back.
    UPDATE key_rates SET full_at = NEW.moment + NEW.every * NEW.burst
    WHERE function = NEW.function AND concurrency_key = NEW.concurrency_key
        AND full_at > NEW.moment + NEW.every * NEW.burst + 60000000;
    INSERT INTO slots_to_give (function, concurrency_key, free, tokens, every)
    SELECT
        NEW.function, NEW.concurrency_key,
        CASE
            WHEN NEW.most IS NULL THEN 4611686018427387904
            ELSE max(0, NEW.most - (
                SELECT count(*)
                FROM tasks AS h
                WHERE h.step_name = NEW.function AND h.concurrency_key = NEW.concurrency_key AND h.slot IN (1, 3)
            ))
        END,
        CASE
            WHEN NEW.every IS NULL THEN 4611686018427387904
            ELSE max(0, NEW.burst
                - (
                    max(0, ifnull((
                        SELECT k.full_at FROM key_rates AS k
                        WHERE k.function = NEW.function AND k.concurrency_key = NEW.concurrency_key
                    ), 0) - NEW.moment) + NEW.every - 1
                ) / NEW.every
                - (
                    SELECT count(*)
                    FROM tasks AS r
                    WHERE r.step_name = NEW.function AND r.concurrency_key = NEW.concurrency_key AND r.slot = 3
                ))
        END,
        NEW.every;
    INSERT INTO key_rates (function, concurrency_key, full_at, granted_at)
    SELECT NEW.function, NEW.concurrency_key, 0, 0
    WHERE NEW.every IS NOT NULL AND EXISTS (
        SELECT 1 FROM tasks AS t
        WHERE t.step_name = NEW.function AND t.concurrency_key = NEW.concurrency_key AND t.slot IN (0, 3)
    )
    ON CONFLICT (function, concurrency_key) DO NOTHING;
    -- the first moment at which there are more tokens than can be claimed; or, where nobody waits, when it is full
    UPDATE key_rates
    SET granted_at = NEW.moment,
        due_at = (
            SELECT CASE
                WHEN s.waits THEN CASE
                    WHEN s.ready < NEW.burst AND (NEW.most IS NULL OR s.held < NEW.most) THEN
                        max(NEW.moment + 5000, max(full_at, NEW.moment) - (NEW.burst - s.ready - 1) * NEW.every)
                END
                WHEN full_at > NEW.moment THEN full_at
            END
            FROM (
                SELECT
                    EXISTS (
                        SELECT 1 FROM tasks AS t
                        WHERE t.step_name = NEW.function AND t.concurrency_key = NEW.concurrency_key AND t.slot = 0
                    ) AS waits,
                    (
                        SELECT count(*) FROM tasks AS t
                        WHERE t.step_name = NEW.function AND t.concurrency_key = NEW.concurrency_key AND t.slot = 3
                    ) AS ready,
                    (
                        SELECT count(*) FROM tasks AS t
                        WHERE t.step_name = NEW.function AND t.concurrency_key = NEW.concurrency_key AND t.slot IN (1, 3)
                    ) AS held
            ) AS s
        )
    WHERE function = NEW.function AND concurrency_key = NEW.concurrency_key AND NEW.every IS NOT NULL;
    -- a full one is as good as none
    DELETE FROM key_rates
    WHERE function = NEW.function AND concurrency_key = NEW.concurrency_key AND (
        NEW.every IS NULL OR (
            full_at <= NEW.moment AND NOT EXISTS (
                SELECT 1 FROM tasks AS t
                WHERE t.step_name = NEW.function AND t.concurrency_key = NEW.concurrency_key AND t.slot IN (0, 3)
            )
        )
    );
END;

CREATE TRIGGER slots_give INSTEAD OF INSERT ON slots_to_give
BEGIN
    UPDATE tasks SET slot = CASE WHEN slot = 0 AND NEW.every IS NOT NULL THEN 3 ELSE 1 END, lane = route
    WHERE id IN (
        SELECT w.id
        FROM (
            SELECT g.*
            FROM (
                SELECT t.id, t.priority, t.created_at
                FROM tasks AS t
                WHERE t.step_name = NEW.function AND t.concurrency_key = NEW.concurrency_key AND t.slot = 2
                ORDER BY t.priority DESC, t.created_at, t.id
                LIMIT NEW.free
            ) AS g
            UNION ALL
            SELECT s.*
            FROM (
                SELECT t.id, t.priority, t.created_at
                FROM tasks AS t
                WHERE t.step_name = NEW.function AND t.concurrency_key = NEW.concurrency_key AND t.slot = 0
                ORDER BY t.priority DESC, t.created_at, t.id
                LIMIT min(NEW.free, NEW.tokens)
            ) AS s
        ) AS w
        ORDER BY w.priority DESC, w.created_at, w.id
        LIMIT NEW.free
    );
END;

CREATE TRIGGER tasks_slot_insert AFTER INSERT ON tasks
WHEN NEW.concurrency_key IS NOT NULL AND (NEW.lane IS NOT NULL OR NEW.state = 'running')
BEGIN
    UPDATE tasks
    SET slot = CASE WHEN state = 'running' THEN 1 WHEN started_at IS NULL THEN 0 ELSE 2 END, lane = NULL, due_at = NULL
    WHERE id = NEW.id;
    INSERT INTO slots_to_fill (function, concurrency_key) VALUES (NEW.step_name, NEW.concurrency_key);
END;

-- it runs, or could, without a slot; or holds one, or waits for one, and does not run any more; or begins anew, and needs a token
CREATE TRIGGER tasks_slot_update AFTER UPDATE OF state, lane, due_at ON tasks
WHEN NEW.concurrency_key IS NOT NULL AND CASE
    WHEN NEW.lane IS NOT NULL THEN
        NEW.slot IS NULL OR NEW.slot IN (0, 2)
        OR (
            NEW.slot = 1 AND OLD.slot = 1 AND OLD.lane IS NULL AND NEW.started_at IS NULL
            AND EXISTS (SELECT 1 FROM functions AS f WHERE f.name = NEW.step_name AND f.key_interval IS NOT NULL)
        )
    WHEN NEW.state = 'running' THEN NEW.slot IS NULL OR NEW.slot NOT IN (1, 3)
    WHEN NEW.slot IN (0, 2) THEN NEW.state <> 'pending' OR NEW.due_at IS NOT NULL
    ELSE NEW.slot IS NOT NULL
END
BEGIN
    UPDATE tasks
    SET slot = CASE
            WHEN state = 'running' THEN 1
            WHEN lane IS NOT NULL AND started_at IS NULL THEN 0
            WHEN lane IS NOT NULL THEN 2
        END,
        due_at = CASE WHEN lane IS NULL THEN due_at END,
        lane = NULL
    WHERE id = NEW.id;
    INSERT INTO slots_to_fill (function, concurrency_key) VALUES (NEW.step_name, NEW.concurrency_key);
END;

-- It starts, and takes a token. Its transaction may have begun before it was let in: it starts no sooner than that.
CREATE TRIGGER tasks_slot_start AFTER UPDATE OF state, lane, due_at ON tasks
WHEN NEW.slot = 3 AND NEW.state = 'running' AND NEW.lane IS NULL
BEGIN
    UPDATE tasks
    SET slot = 1,
        started_at = max(started_at, ifnull((
            SELECT k.granted_at FROM key_rates AS k
            WHERE k.function = NEW.step_name AND k.concurrency_key = NEW.concurrency_key
        ), 0))
    WHERE id = NEW.id;
    UPDATE key_rates
    SET full_at = max(full_at, (SELECT t.started_at FROM tasks AS t WHERE t.id = NEW.id))
        + (SELECT f.key_interval FROM functions AS f WHERE f.name = NEW.step_name)
    WHERE function = NEW.step_name AND concurrency_key = NEW.concurrency_key
        AND EXISTS (SELECT 1 FROM functions AS f WHERE f.name = NEW.step_name AND f.key_interval IS NOT NULL);
    INSERT INTO slots_to_fill (function, concurrency_key) VALUES (NEW.step_name, NEW.concurrency_key);
END;

CREATE TRIGGER tasks_slot_delete AFTER DELETE ON tasks
WHEN OLD.slot IN (1, 3)
BEGIN
    INSERT INTO slots_to_fill (function, concurrency_key) VALUES (OLD.step_name, OLD.concurrency_key);
END;

-- A limit or a rate that has changed. What would start by another rate waits again, and so do more than the limit allows, as far
-- as they have not begun; what is free goes to those who wait.
CREATE VIEW slots_to_share AS SELECT NULL AS function, NULL AS most, NULL AS every WHERE false;

CREATE TRIGGER slots_share INSTEAD OF INSERT ON slots_to_share
BEGIN
    UPDATE tasks SET slot = 0, lane = NULL
    WHERE step_name = NEW.function AND lane IS NOT NULL AND started_at IS NULL
        AND (slot = 3 OR (slot = 1 AND NEW.every IS NOT NULL));
    UPDATE tasks SET slot = CASE WHEN started_at IS NULL THEN 0 ELSE 2 END, lane = NULL
    WHERE NEW.most IS NOT NULL AND id IN (
        SELECT s.id
        FROM (
            SELECT
                t.id, t.lane,
                row_number() OVER (
                    PARTITION BY t.concurrency_key ORDER BY t.lane IS NOT NULL, t.priority DESC, t.created_at, t.id
                ) AS place
            FROM tasks AS t
            WHERE t.step_name = NEW.function AND t.slot = 1
        ) AS s
        WHERE s.lane IS NOT NULL AND s.place > NEW.most
    );
    INSERT INTO slots_to_fill (function, concurrency_key)
    SELECT DISTINCT NEW.function, t.concurrency_key
    FROM tasks AS t
    WHERE t.step_name = NEW.function AND t.slot IN (0, 2);
END;

CREATE TRIGGER functions_slot_insert AFTER INSERT ON functions
WHEN NEW.max_concurrent_per_key IS NOT NULL OR NEW.key_interval IS NOT NULL
BEGIN
    INSERT INTO slots_to_share (function, most, every) VALUES (NEW.name, NEW.max_concurrent_per_key, NEW.key_interval);
END;

CREATE TRIGGER functions_slot_update AFTER UPDATE OF max_concurrent_per_key, key_interval, key_burst ON functions
WHEN (NEW.max_concurrent_per_key, NEW.key_interval, NEW.key_burst)
    IS NOT (OLD.max_concurrent_per_key, OLD.key_interval, OLD.key_burst)
BEGIN
    INSERT INTO slots_to_share (function, most, every) VALUES (NEW.name, NEW.max_concurrent_per_key, NEW.key_interval);
END;

CREATE TRIGGER functions_slot_delete AFTER DELETE ON functions
WHEN OLD.max_concurrent_per_key IS NOT NULL OR OLD.key_interval IS NOT NULL
BEGIN
    INSERT INTO slots_to_share (function, most, every) VALUES (OLD.name, NULL, NULL);
END;
