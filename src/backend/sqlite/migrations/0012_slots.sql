-- At most so many tasks of a function run at once that have the same key.
ALTER TABLE functions ADD COLUMN max_concurrent_per_key INTEGER;
-- Tasks of a function with one key share slots. slot: 1 it holds one, and is ready or leased; 0 it waits for one, in no lane;
-- NULL otherwise. It is the triggers below that give and take them, whatever statement it is that makes a task ready or ends it.
ALTER TABLE tasks ADD COLUMN concurrency_key TEXT;
ALTER TABLE tasks ADD COLUMN slot INTEGER;
CREATE INDEX tasks_slots ON tasks (step_name, concurrency_key, slot, priority DESC, created_at, id) WHERE slot IS NOT NULL;

-- What is inserted here calls its trigger, and is kept nowhere: the slots of a key that are free go to those who wait the longest.
CREATE VIEW slots_to_fill AS SELECT NULL AS function, NULL AS concurrency_key WHERE false;

CREATE TRIGGER slots_fill INSTEAD OF INSERT ON slots_to_fill
BEGIN
    UPDATE tasks SET slot = 1, lane = route
    WHERE id IN (
        SELECT t.id
        FROM tasks AS t
        WHERE t.step_name = NEW.function AND t.concurrency_key = NEW.concurrency_key AND t.slot = 0
        ORDER BY t.priority DESC, t.created_at, t.id
        LIMIT (
            SELECT CASE
                WHEN f.most IS NULL THEN -1
                ELSE max(0, f.most - (
                    SELECT count(*)
                    FROM tasks AS h
                    WHERE h.step_name = NEW.function AND h.concurrency_key = NEW.concurrency_key AND h.slot = 1
                ))
            END
            FROM (SELECT (SELECT max_concurrent_per_key FROM functions WHERE name = NEW.function) AS most) AS f
        )
    );
END;

CREATE TRIGGER tasks_slot_insert AFTER INSERT ON tasks
WHEN NEW.concurrency_key IS NOT NULL AND (NEW.lane IS NOT NULL OR NEW.state = 'running')
BEGIN
    UPDATE tasks SET slot = (state = 'running'), lane = NULL, due_at = NULL WHERE id = NEW.id;
    INSERT INTO slots_to_fill (function, concurrency_key) VALUES (NEW.step_name, NEW.concurrency_key);
END;

-- it runs, or could, without a slot; or holds one, or waits for one, and does not run any more
CREATE TRIGGER tasks_slot_update AFTER UPDATE OF state, lane, due_at ON tasks
WHEN NEW.concurrency_key IS NOT NULL AND CASE
    WHEN NEW.lane IS NOT NULL OR NEW.state = 'running' THEN NEW.slot IS NOT 1
    WHEN NEW.slot = 0 THEN NEW.state <> 'pending' OR NEW.due_at IS NOT NULL
    ELSE NEW.slot IS NOT NULL
END
BEGIN
    UPDATE tasks
    SET slot = CASE WHEN state = 'running' THEN 1 WHEN lane IS NOT NULL THEN 0 END,
        due_at = CASE WHEN lane IS NULL THEN due_at END,
        lane = NULL
    WHERE id = NEW.id;
    INSERT INTO slots_to_fill (function, concurrency_key) VALUES (NEW.step_name, NEW.concurrency_key);
END;

CREATE TRIGGER tasks_slot_delete AFTER DELETE ON tasks
WHEN OLD.slot = 1
BEGIN
    INSERT INTO slots_to_fill (function, concurrency_key) VALUES (OLD.step_name, OLD.concurrency_key);
END;

-- A limit that has changed. More than it allows lose the slots with which nothing has begun; what is free goes to those who wait.
CREATE VIEW slots_to_share AS SELECT NULL AS function, NULL AS most WHERE false;

CREATE TRIGGER slots_share INSTEAD OF INSERT ON slots_to_share
BEGIN
    UPDATE tasks SET slot = 0, lane = NULL
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
    UPDATE tasks SET slot = 1, lane = route
    WHERE id IN (
        SELECT s.id
        FROM (
            SELECT
                t.id, t.concurrency_key,
                row_number() OVER (PARTITION BY t.concurrency_key ORDER BY t.priority DESC, t.created_at, t.id) AS place
            FROM tasks AS t
            WHERE t.step_name = NEW.function AND t.slot = 0
        ) AS s
        LEFT JOIN (
            SELECT h.concurrency_key, count(*) AS held
            FROM tasks AS h
            WHERE h.step_name = NEW.function AND h.slot = 1
            GROUP BY h.concurrency_key
        ) AS h ON h.concurrency_key = s.concurrency_key
        WHERE NEW.most IS NULL OR s.place <= NEW.most - coalesce(h.held, 0)
    );
END;

CREATE TRIGGER functions_slot_insert AFTER INSERT ON functions
WHEN NEW.max_concurrent_per_key IS NOT NULL
BEGIN
    INSERT INTO slots_to_share (function, most) VALUES (NEW.name, NEW.max_concurrent_per_key);
END;

CREATE TRIGGER functions_slot_update AFTER UPDATE OF max_concurrent_per_key ON functions
WHEN NEW.max_concurrent_per_key IS NOT OLD.max_concurrent_per_key
BEGIN
    INSERT INTO slots_to_share (function, most) VALUES (NEW.name, NEW.max_concurrent_per_key);
END;

CREATE TRIGGER functions_slot_delete AFTER DELETE ON functions
WHEN OLD.max_concurrent_per_key IS NOT NULL
BEGIN
    INSERT INTO slots_to_share (function, most) VALUES (OLD.name, NULL);
END;
