-- Which transaction made a task ready: whoever claims remembers where the living begin in a lane, and what has become ready
-- before that place since is found by this. Whatever gives a task a lane sets it.
ALTER TABLE tasks ADD COLUMN readied bigint;
ALTER TABLE tasks ALTER COLUMN readied SET DEFAULT txid_current();
-- Its lane is written so that no look for the best can go by it, nor a look by it go by tasks_ready: where few of many tasks
-- are ready they would cost the same to the planner, and either would read all that an old snapshot keeps of the lane.
CREATE INDEX tasks_readied ON tasks (coalesce(lane, 0), readied) WHERE coalesce(lane, 0) <> 0;

-- With the end of the lease, so that those of a limited function that have ended are not counted one by one.
DROP INDEX tasks_limited;
CREATE INDEX tasks_limited ON tasks (step_name, lease_expires_at) WHERE limited IS NOT NULL;
