-- Executions that have moved between stores. An execution is in `fenced` or in the other tables, never in both: so it can't
-- run here while it is on its way.
CREATE TABLE moves (
    execution_id uuid PRIMARY KEY,
    -- of how many moves this was the last one
    number       bigint NOT NULL,
    moved_at     timestamptz NOT NULL,
    -- fenced: all of it is in `document`; gone: it was imported elsewhere; here: it came from elsewhere
    place        text NOT NULL,
    function     text NOT NULL,
    document     bytea
);
CREATE INDEX moves_fenced ON moves (moved_at, execution_id) WHERE place = 'fenced';
