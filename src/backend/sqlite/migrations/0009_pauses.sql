-- Queues and functions of which nothing is claimed. kind: queue or function.
CREATE TABLE pauses (
    kind   TEXT NOT NULL,
    name   TEXT NOT NULL,
    since  INTEGER NOT NULL,
    reason TEXT,
    author TEXT,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;
-- Attempts that failed and were followed by another: a line of JSON for each, the newest first, as far as there is room.
ALTER TABLE tasks ADD COLUMN attempts TEXT;
