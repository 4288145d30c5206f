-- Which execution a unique key of dispatches was taken by last. Whether it has it still is what the execution's state and the
-- dispatch that asks say: nothing is freed here. A row is deleted when it can mean nothing any more (expires_at).
CREATE TABLE unique_keys (
    key           text PRIMARY KEY,
    -- NULL: whoever locked it has started nothing
    execution_id  uuid,
    dispatched_at timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL
);
CREATE INDEX unique_keys_by_expiry ON unique_keys (expires_at);
