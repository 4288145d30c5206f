-- The dispatch that has last given its arguments to the execution of its key: repeated after a commit whose answer was lost, it
-- finds that out.
ALTER TABLE unique_keys ADD COLUMN asked_id uuid;
