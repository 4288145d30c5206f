-- Queues and functions of which nothing is claimed. kind: queue or function.
CREATE TABLE pauses (
    kind   TEXT NOT NULL,
    name   TEXT NOT NULL,
    since  INTEGER NOT NULL,
    reason TEXT,
    author TEXT,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;
