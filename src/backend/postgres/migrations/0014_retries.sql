-- When the first of a task's attempts began, once that is over (until then started_at tells it): the time within which
-- retries may begin is counted from it. And how often the task has said "not now"; NULL is never, which takes no room in
-- the rows that are written most.
ALTER TABLE tasks ADD COLUMN first_started_at timestamptz;
ALTER TABLE tasks ADD COLUMN snoozes bigint;
