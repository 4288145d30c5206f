-- What is waited for (tasks.due_at, tasks.deadline_at, executions.expiry_due) is a date: microseconds since 1970 by the wall
-- clock; or the end of a duration: 4611686018427387904 and the microseconds since the machine's boot, which setting the clock
-- does not move. All ends of durations are of one boot, the one that has `began`; when the file is opened in another boot
-- they become dates, by what the wall clock said last.
ALTER TABLE boots ADD COLUMN began INTEGER;
ALTER TABLE executions ADD COLUMN expiry_due INTEGER;
UPDATE executions SET expiry_due = expiry_at WHERE expiry_at IS NOT NULL AND ending IS NULL AND completed_at IS NULL;
DROP INDEX executions_by_expiry;
CREATE INDEX executions_by_expiry ON executions (expiry_due)
    WHERE expiry_due IS NOT NULL AND ending IS NULL AND completed_at IS NULL;
