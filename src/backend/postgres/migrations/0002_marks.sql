-- What a transaction leaves of itself: whoever lost the answer to its commit asks for the token. A number of the server's
-- can't be asked for: after a crash it is given out again.
CREATE TABLE marks (
    token uuid PRIMARY KEY,
    expires_at timestamptz NOT NULL
);

CREATE INDEX marks_by_expiry ON marks (expires_at);
