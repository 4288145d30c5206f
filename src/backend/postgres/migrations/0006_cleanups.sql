-- Cleanups. functions.cleanup: how long an execution may clean up after it was cancelled or timed out, in microseconds.
-- executions.cleanup: the same, once its root has stopped for it; cleanup_due: when it is over. An execution that cleans up
-- is 'running' with an `ending`, and is told as 'cancelling'. tasks.cleanup, of a root: the last operation that it had
-- issued when its cleanup began.
ALTER TABLE functions ADD COLUMN cleanup bigint;
ALTER TABLE executions ADD COLUMN cleanup bigint;
ALTER TABLE executions ADD COLUMN cleanup_due timestamptz;
ALTER TABLE tasks ADD COLUMN cleanup bigint;
CREATE INDEX executions_cleaning ON executions (cleanup_due) WHERE cleanup_due IS NOT NULL AND state = 'running';
