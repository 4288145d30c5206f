-- Queues and functions of which nothing is claimed. kind: queue or function.
CREATE TABLE pauses (
    kind   text NOT NULL,
    name   text NOT NULL,
    since  timestamptz NOT NULL,
    reason text,
    author text,
    PRIMARY KEY (kind, name)
);
-- Attempts that failed and were followed by another: a line of JSON for each, the newest first, as far as there is room.
ALTER TABLE tasks ADD COLUMN attempts text;
