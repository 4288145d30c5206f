-- Only a task that runs has a lease, whatever its record says: a record may be written with the lease of another state.
DROP INDEX tasks_leased;
CREATE INDEX tasks_leased ON tasks (lease_expires_at) WHERE lease_expires_at IS NOT NULL AND state = 'running';

-- A letter keeps its execution: who cleans up asks for an execution's letters.
CREATE INDEX dead_letters_by_execution ON dead_letters (execution_id);
