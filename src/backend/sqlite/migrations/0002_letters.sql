-- A letter keeps its execution: who cleans up asks for an execution's letters.
CREATE INDEX dead_letters_by_execution ON dead_letters (execution_id);
