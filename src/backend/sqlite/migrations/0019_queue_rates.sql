-- How often tasks of a queue may start, of the kind queue, as workers have declared it: JSON. Functions have theirs in their own rows.
ALTER TABLE rates ADD COLUMN rate TEXT;
