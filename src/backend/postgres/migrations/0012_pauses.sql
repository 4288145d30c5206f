-- Queues and functions of which nothing is claimed. kind: queue or function.
CREATE TABLE pauses (
    kind   text NOT NULL,
    name   text NOT NULL,
    since  timestamptz NOT NULL,
    reason text,
    author text,
    PRIMARY KEY (kind, name)
);
