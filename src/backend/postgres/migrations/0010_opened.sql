-- Of a root: when it was first claimed. While its execution is pending, this tells that it runs, and since when: no row of
-- its own is written for that.
ALTER TABLE tasks ADD COLUMN opened_at timestamptz;
