-- Tasks that a tool has made before their execution, or without one. tasks.stray: there was no such execution when the task
-- was made. Only of these is it looked whether there is one now.
ALTER TABLE tasks ADD COLUMN stray boolean;
CREATE INDEX tasks_strays ON tasks (route, execution_id) WHERE stray IS NOT NULL;
