-- What a start and an end change of an execution is in no index, so that they are cheap updates which leave no index
-- entry behind (HOT): the new row stands beside the old one, on a page that was left half empty.

-- when a sweep looks at it: its expiry, as long as it is neither over nor about to be
ALTER TABLE executions ADD COLUMN due_at timestamptz;
-- when it ended, if that is before it was created (a tool wrote so): it is not found by the time of its creation
ALTER TABLE executions ADD COLUMN ended_before timestamptz;
UPDATE executions SET due_at = expiry_at WHERE expiry_at IS NOT NULL AND ending IS NULL AND completed_at IS NULL;
UPDATE executions SET ended_before = completed_at WHERE completed_at < created_at;
-- only while it is being cancelled
UPDATE executions SET ending = NULL WHERE ending IS NOT NULL AND completed_at IS NOT NULL;
DROP INDEX executions_by_expiry;
DROP INDEX executions_ending;
DROP INDEX executions_by_completion;
DROP INDEX executions_cleaning;
CREATE INDEX executions_due ON executions (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX executions_ending ON executions (id) WHERE ending IS NOT NULL;
-- none that is over has it
UPDATE executions SET cleanup_due = NULL WHERE cleanup_due IS NOT NULL AND completed_at IS NOT NULL;
CREATE INDEX executions_cleaning ON executions (cleanup_due) WHERE cleanup_due IS NOT NULL;
CREATE INDEX executions_ended_before ON executions (ended_before) WHERE ended_before IS NOT NULL;
ALTER TABLE executions SET (fillfactor = 50);

-- True: its execution's root_task_id leads to it, and no index does. Most executions are a root and nothing else.
ALTER TABLE tasks ADD COLUMN root boolean;
DROP INDEX tasks_by_execution;
CREATE INDEX tasks_by_execution ON tasks (execution_id) WHERE root IS NULL;
ALTER TABLE tasks SET (fillfactor = 70);
