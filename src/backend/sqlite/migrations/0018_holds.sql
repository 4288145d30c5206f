-- Nobody of a function with this key starts before that time; without a key ('') nobody of the function. A handler has said so.
CREATE TABLE holds (
    function        TEXT NOT NULL,
    concurrency_key TEXT NOT NULL,
    ends_at         INTEGER NOT NULL,
    PRIMARY KEY (function, concurrency_key)
) WITHOUT ROWID;
CREATE INDEX holds_by_end ON holds (ends_at);

-- As before; of a key that is held nobody is let in to start.
DROP TRIGGER slots_count;
CREATE TRIGGER slots_count INSTEAD OF INSERT ON slots_to_count
BEGIN
    -- who was let in of a key that is held, and has not begun, waits again
    UPDATE tasks SET slot = 0, lane = NULL
    WHERE step_name = NEW.function AND concurrency_key = NEW.concurrency_key AND slot IN (1, 3)
        AND lane IS NOT NULL AND started_at IS NULL
        AND EXISTS (
            SELECT 1 FROM holds AS h
            WHERE h.function = NEW.function AND h.concurrency_key = NEW.concurrency_key AND h.ends_at > NEW.moment
        );
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
            WHEN EXISTS (
                SELECT 1 FROM holds AS h
                WHERE h.function = NEW.function AND h.concurrency_key = NEW.concurrency_key AND h.ends_at > NEW.moment
            ) THEN 0
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
                        max(
                            NEW.moment + 5000,
                            max(full_at, NEW.moment) - (NEW.burst - s.ready - 1) * NEW.every,
                            ifnull((
                                SELECT h.ends_at FROM holds AS h
                                WHERE h.function = NEW.function AND h.concurrency_key = NEW.concurrency_key
                            ), 0)
                        )
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

-- Who begins anew keeps his slot: it is looked whether his key is held meanwhile.
CREATE TRIGGER tasks_slot_anew AFTER UPDATE OF state, lane, due_at ON tasks
WHEN NEW.concurrency_key IS NOT NULL AND NEW.slot = 1 AND OLD.slot = 1 AND OLD.lane IS NULL AND NEW.lane IS NOT NULL
    AND NEW.started_at IS NULL
    AND EXISTS (SELECT 1 FROM holds AS h WHERE h.function = NEW.step_name AND h.concurrency_key = NEW.concurrency_key)
BEGIN
    INSERT INTO slots_to_fill (function, concurrency_key) VALUES (NEW.step_name, NEW.concurrency_key);
END;
