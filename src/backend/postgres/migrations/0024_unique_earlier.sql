-- Who had a unique key before the one that took it last, and was unfinished then: the key has more than one that goes on where a
-- window was over, or a debounce found that a worker had the first. Whether they are over is what their executions say.
CREATE TABLE unique_earlier (
    key           text NOT NULL,
    execution_id  uuid NOT NULL,
    dispatched_at timestamptz NOT NULL,
    PRIMARY KEY (key, execution_id)
);

-- Until then a dispatch is answered with the execution that took the key last, which is not cleaned up. Windows that were no longer
-- than an hour are not known of rows made before.
ALTER TABLE unique_keys ADD COLUMN window_ends_at timestamptz;
UPDATE unique_keys SET window_ends_at = expires_at WHERE expires_at > dispatched_at + interval '1 hour';
CREATE INDEX unique_keys_in_window ON unique_keys (execution_id) WHERE window_ends_at IS NOT NULL;
