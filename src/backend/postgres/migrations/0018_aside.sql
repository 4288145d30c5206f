-- How many of a task's operations were recorded since its claim by transactions of the handler's own: its worker does not count
-- these when it says how far the record goes that it adds to.
ALTER TABLE tasks ADD COLUMN aside bigint;
