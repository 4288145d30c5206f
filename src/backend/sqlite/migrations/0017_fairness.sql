-- How long a task waits to make up for one step of priority, in microseconds; NULL: priorities don't age.
ALTER TABLE functions ADD COLUMN priority_ageing INTEGER;
-- What is ready, or waits for a slot, is ordered by priority and created_at. A task whose place is another than its own priority
-- and age would give it has these here: asked_priority, made_at. One whose priority ages competes with those of priority 0, by
-- its age and a head start, in microseconds.
ALTER TABLE tasks ADD COLUMN asked_priority INTEGER;
ALTER TABLE tasks ADD COLUMN made_at INTEGER;
ALTER TABLE tasks ADD COLUMN head_start INTEGER;
-- Whose it is; empty: of those without a key, in a queue that is shared out. And shared_at: its place in its lane's own time, from
-- when it was ready for the first time.
ALTER TABLE tasks ADD COLUMN fairness_key TEXT;
ALTER TABLE tasks ADD COLUMN fairness_weight REAL;
ALTER TABLE tasks ADD COLUMN shared_at INTEGER;
-- The first that waits in a lane, the last that runs of it, and the last of a key. What is tried again has an old place, which says
-- nothing of the lane's time.
CREATE INDEX tasks_shared ON tasks (lane, priority, shared_at)
    WHERE lane IS NOT NULL AND shared_at IS NOT NULL AND started_at IS NULL AND first_started_at IS NULL;
CREATE INDEX tasks_shared_running ON tasks (route, priority, shared_at) WHERE shared_at IS NOT NULL AND state = 'running';
CREATE INDEX tasks_shared_keys ON tasks (route, priority, fairness_key, shared_at)
    WHERE shared_at IS NOT NULL AND state IN ('pending', 'running');

-- What is inserted here calls its trigger, and is kept nowhere: the task gets its place. The lane's own time is that of the first
-- that waits there, or of what runs, if that was ahead of it. Where nobody waits, that of the queue's other lanes, so that a
-- function's first task is not behind another's backlog; else the clock's: what keys have had before is forgotten then.
CREATE VIEW tasks_to_share AS
SELECT NULL AS id, NULL AS lane, NULL AS priority, NULL AS fairness_key, NULL AS made_at WHERE false;

CREATE TRIGGER tasks_share INSTEAD OF INSERT ON tasks_to_share
BEGIN
    UPDATE tasks
    SET shared_at = max(
        coalesce(
            (
                SELECT t.shared_at FROM tasks AS t INDEXED BY tasks_shared
                WHERE t.lane = NEW.lane AND t.priority = NEW.priority AND t.shared_at IS NOT NULL
                    AND t.started_at IS NULL AND t.first_started_at IS NULL
                ORDER BY t.shared_at
                LIMIT 1
            ),
            (
                SELECT min((
                    SELECT t.shared_at FROM tasks AS t INDEXED BY tasks_shared
                    WHERE t.lane = r.id AND t.priority = NEW.priority AND t.shared_at IS NOT NULL
                        AND t.started_at IS NULL AND t.first_started_at IS NULL
                    ORDER BY t.shared_at
                    LIMIT 1
                ))
                FROM routes AS own
                CROSS JOIN routes AS r ON r.queue IS own.queue
                WHERE own.id = NEW.lane
            ),
            max(NEW.made_at, CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER))
        ),
        ifnull((
            SELECT t.shared_at FROM tasks AS t INDEXED BY tasks_shared_running
            WHERE t.route = NEW.lane AND t.priority = NEW.priority AND t.shared_at IS NOT NULL AND t.state = 'running'
            ORDER BY t.shared_at DESC
            LIMIT 1
        ), 0),
        ifnull((
            SELECT t.shared_at + CAST(round(10000 / ifnull(t.fairness_weight, 1)) AS INTEGER)
            FROM tasks AS t INDEXED BY tasks_shared_keys
            WHERE t.route = NEW.lane AND t.priority = NEW.priority AND t.fairness_key = NEW.fairness_key
                AND t.shared_at IS NOT NULL AND t.state IN ('pending', 'running')
            ORDER BY t.shared_at DESC
            LIMIT 1
        ), 0)
    )
    WHERE id = NEW.id;
    UPDATE tasks
    SET created_at = shared_at - ifnull(head_start, 0), made_at = ifnull(made_at, created_at)
    WHERE id = NEW.id;
END;

-- What needs a slot of its concurrency key is ready when it has one.
CREATE TRIGGER tasks_share_insert AFTER INSERT ON tasks
WHEN NEW.fairness_key IS NOT NULL AND NEW.lane IS NOT NULL AND NEW.shared_at IS NULL AND NEW.started_at IS NULL
    AND NEW.concurrency_key IS NULL
BEGIN
    INSERT INTO tasks_to_share (id, lane, priority, fairness_key, made_at)
    VALUES (NEW.id, NEW.lane, NEW.priority, NEW.fairness_key, ifnull(NEW.made_at, NEW.created_at));
END;

CREATE TRIGGER tasks_share_update AFTER UPDATE OF lane ON tasks
WHEN NEW.fairness_key IS NOT NULL AND NEW.lane IS NOT NULL AND NEW.shared_at IS NULL AND NEW.started_at IS NULL
    AND (NEW.concurrency_key IS NULL OR NEW.slot IN (1, 3))
BEGIN
    INSERT INTO tasks_to_share (id, lane, priority, fairness_key, made_at)
    VALUES (NEW.id, NEW.lane, NEW.priority, NEW.fairness_key, ifnull(NEW.made_at, NEW.created_at));
END;
