-- the first operation of its journal that was opened again: what was issued after it need not be asked for again
ALTER TABLE tasks ADD COLUMN opened INTEGER;
