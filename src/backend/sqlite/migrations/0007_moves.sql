-- Executions that have moved between stores. An execution is in `fenced` or in the other tables, never in both: so it can't
-- run here while it is on its way.
CREATE TABLE moves (
    execution_id BLOB PRIMARY KEY NOT NULL,
    -- of how many moves this was the last one
    number       INTEGER NOT NULL,
    -- fenced: all of it is in `document`; gone: it was imported elsewhere; here: it came from elsewhere
    place        TEXT NOT NULL,
    function     TEXT NOT NULL,
    moved_at     INTEGER NOT NULL,
    document     BLOB
);
CREATE INDEX moves_fenced ON moves (moved_at, execution_id) WHERE place = 'fenced';
